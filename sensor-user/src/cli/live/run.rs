//! `tattler run`: runs the live sensor.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ipnet::Ipv6Net;
use tattler_core::exclusions::Exclusions;
use tattler_core::home::HomeSettings;
use tattler_core::time::Span;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::agent::{self, SensorSettings};
use crate::cli::complain;
use crate::config::{self, Attach, Config};
use crate::datapath::{Mode, Sizes};
use crate::store;

/// Watch the uplink and record contacts and probes.
///
/// Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Waits for an uplink that does not exist yet. SIGINT or
/// SIGTERM stops the sensor; without --keep the sensor then leaves nothing attached. SIGHUP makes the sensor read the
/// configuration again.
#[derive(Args)]
#[command(after_help = "Example: tattler run --interface wan0")]
pub(in crate::cli) struct Arguments {
    /// An uplink; may be given again, and may appear later [default: the interfaces of the IPv6 default routes]
    #[arg(long, value_name = "IF")]
    interface: Vec<String>,

    /// A prefix that is ours; may be given again [default: from netlink]
    #[arg(long, value_name = "PREFIX", value_parser = crate::config::home_prefix)]
    home: Vec<Ipv6Net>,

    /// Another prefix that is ours, such as the outside of NPTv6; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = crate::config::home_prefix)]
    add_home: Vec<Ipv6Net>,

    /// A prefix that is not ours, including all prefixes inside; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = crate::config::home_prefix)]
    exclude: Vec<Ipv6Net>,

    /// A local or a prefix of locals that outsiders are meant to reach; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = tattler_core::remote::parse)]
    public: Vec<Ipv6Net>,

    /// A NAT64 prefix of this network besides the well-known prefixes; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = tattler_core::remote::parse)]
    nat64: Vec<Ipv6Net>,

    /// The directory of the diary [default: /var/lib/tattler]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// The socket for queries [default: /run/tattler/tattler.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The address that serves metrics and health; '' for none [default: [::1]:9646]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_listen)]
    listen: Option<Listen>,

    /// How to attach the ingress program: native (XDP in the driver), generic (XDP in the stack) or tc
    /// [default: auto, the first of these modes that the kernel accepts]
    #[arg(long, value_name = "MODE", value_parser = crate::config::attach)]
    attach: Option<Attach>,

    /// Leave programs and maps in the kernel when the sensor stops. At its next start the sensor reads the events
    /// that fitted into the ring
    #[arg(long)]
    keep: bool,

    /// The configuration, with conf.d in the same directory [default: /etc/tattler/tattler.toml, if it exists]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// An address to listen on; `None`: no listener.
#[derive(Clone, Copy)]
struct Listen(Option<SocketAddr>);

fn parse_listen(text: &str) -> Result<Listen, String> {
    config::listen(text).map(Listen)
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let settings = match arguments.settings() {
        Ok(settings) => settings,
        Err(config::Problems(problems)) => {
            problems.iter().for_each(complain);
            return Ok(ExitCode::FAILURE);
        }
    };
    // One thread reads the ring; blocking work runs on other threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let shutdown = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let (send, reloads) = mpsc::channel(1);
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                let settings = arguments.settings();
                let lines = |problems: config::Problems| problems.0.iter().map(ToString::to_string).collect();
                if send.send(settings.map_err(lines)).await.is_err() {
                    return; // The sensor is stopping.
                }
            }
        });
        agent::run(settings, reloads, shutdown).await
    });
    // A query that waits for the disk must not delay the end of the sensor.
    runtime.shutdown_background();
    outcome?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// Reads the configuration files. The values of flags replace the values of the files.
    fn settings(&self) -> Result<SensorSettings, config::Problems> {
        let Config { sensor, home, store, exclude, names, privacy, kernel } =
            config::load(self.config.as_deref())?.config;
        let over = |flags: &[Ipv6Net], files: Vec<Ipv6Net>| if flags.is_empty() { files } else { flags.to_vec() };
        Ok(SensorSettings {
            interfaces: if self.interface.is_empty() { sensor.interfaces } else { self.interface.clone() },
            home: HomeSettings {
                only: over(&self.home, home.prefixes),
                add: over(&self.add_home, home.add),
                exclude: over(&self.exclude, home.exclude),
            },
            public: over(&self.public, home.public),
            nat64: over(&self.nat64, home.nat64),
            state: self.state.clone().unwrap_or(sensor.state),
            socket: self.socket.clone().unwrap_or(sensor.socket),
            listen: self.listen.map_or(sensor.listen, |listen| listen.0),
            store: store::StoreSettings {
                retention: Span::from_days(store.retention_days.into()),
                most_bytes: match store.max_size_mib {
                    0 => u64::MAX,
                    mib => u64::from(mib) << 20,
                },
                ..store::StoreSettings::default()
            },
            exclusions: Exclusions { devices: Vec::new(), remotes: exclude.remotes, ports: exclude.ports },
            excluded_devices: exclude.devices,
            names,
            keep_mac: privacy.keep_mac,
            window: Span::from_days(store.window_days.into()),
            sizes: Sizes { ring_bytes: kernel.ring_mib << 20, entries: kernel.map_entries },
            attach: match self.attach.unwrap_or(sensor.attach) {
                Attach::Auto => None,
                Attach::Native => Some(Mode::Native),
                Attach::Generic => Some(Mode::Generic),
                Attach::Tc => Some(Mode::Tc),
            },
            keep: self.keep,
        })
    }
}

/// Logs to standard error; RUST_LOG sets the level.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
}
