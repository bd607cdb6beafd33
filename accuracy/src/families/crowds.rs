//! Peer-to-peer: hundreds of remotes within an hour.

use super::{Expect, Family};
use crate::network::plan::{Lag, MINUTE, Place, Plan, Torrent};

const TORRENT: Torrent = Torrent { share: 0.2, peers: 250, inbound: 6 };

pub(super) const FAMILIES: &[Family] = &[
    Family::rank("torrent-one-leaks", "one peer of many leaks, met in most sessions", |size| {
        let mut plan = Plan::with(size, |harvester| {
            harvester.place = Place::Peer;
            harvester.lag = Lag::About(10.0 * MINUTE, 1.0);
        });
        plan.torrent = Some(Torrent { inbound: 0, ..TORRENT });
        plan
    }),
    Family::without("torrent-none", "peers connect in, nobody leaks", Expect::Nobody, |size| Plan {
        torrent: Some(TORRENT),
        ..Plan::clean(size)
    }),
];
