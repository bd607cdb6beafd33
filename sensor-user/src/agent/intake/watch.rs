//! The loop itself: when the ring is drained, and when the network is read.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Fuse, FusedFuture};
use futures_util::{FutureExt, Stream, StreamExt};
use tattler_core::home::{NetworkState, News};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::programs::Programs;
use super::sensor::{BATCH, Sensor, log_failure};
use crate::agent::notices::service_manager;
use crate::agent::settings::Reload;
use crate::netlink::{Neighbour, NeighbourNews, NetlinkError};

/// How often the ring is drained. Events wake nobody.
const TICK: Duration = Duration::from_millis(10);
/// How long changes of the network may settle before they are read.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two looks at the counters.
const SECOND: Duration = Duration::from_secs(1);
/// Between two prunings of the ledger.
const HOUR: Duration = Duration::from_secs(3_600);

/// Runs until `shutdown`. `read_network` and `read_neighbours` list the kernel's tables, and may take long.
pub async fn watch<P: Programs>(
    sensor: &mut Sensor<P>,
    read_network: impl AsyncFn() -> Result<NetworkState, NetlinkError>,
    read_neighbours: impl AsyncFn() -> Result<Vec<Neighbour>, NetlinkError>,
    mut changes: impl Stream<Item = News> + Unpin,
    mut neighbours: impl Stream<Item = NeighbourNews> + Unpin,
    mut reloads: mpsc::Receiver<Reload>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut second = interval(SECOND);
    let mut hour = interval(HOUR);
    // When to list the network; and the lists that are being read.
    let mut settled: Option<Instant> = None;
    let mut network = Fuse::terminated();
    let mut all_neighbours = Box::pin(read_neighbours()).fuse();
    let mut neighbours_missed = false;
    info!("ready");
    service_manager::ready();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = tick.tick() => if sensor.drain() == BATCH {
                // There is more, but the other branches have their turn first: a flood must not keep the
                // sensor from stopping, nor from following the network.
                tick.reset_immediately();
                tokio::task::yield_now().await;
            },
            _ = second.tick() => {
                sensor.show();
                // Failed attempts are repeated with the network as it is then.
                if sensor.is_attach_due() {
                    settled.get_or_insert_with(Instant::now);
                }
            }
            _ = hour.tick() => sensor.next_hour(),
            Some(news) = neighbours.next() => match news {
                NeighbourNews::Known(neighbour) => sensor.learn(&[neighbour]),
                NeighbourNews::Missed => neighbours_missed = true,
            },
            all = &mut all_neighbours => match all {
                Ok(all) => sensor.learn(&all),
                Err(error) => warn!("{error}"),
            },
            Some(reload) = reloads.recv() => if sensor.reload(reload) {
                settled = Some(Instant::now());
            },
            // The first of a burst of changes sets the time; the rest is read with it.
            Some(news) = changes.next() => {
                match news {
                    News::Gone(index) => sensor.lost(index),
                    news => sensor.arrived(news),
                }
                settled.get_or_insert_with(|| Instant::now() + SETTLE);
            }
            () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() && network.is_terminated() => {
                settled = None;
                network = Box::pin(read_network()).fuse();
            }
            read = &mut network => match read {
                Ok(network) => sensor.follow_network(&network).iter().for_each(log_failure),
                Err(error) => {
                    warn!("{error}");
                    settled = Some(Instant::now() + SECOND);
                }
            },
        }
        if neighbours_missed && all_neighbours.is_terminated() {
            neighbours_missed = false;
            all_neighbours = Box::pin(read_neighbours()).fuse();
        }
    }
}
