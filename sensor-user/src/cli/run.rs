//! `tattler run`: the live sensor.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ipnet::Ipv6Net;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments;
use crate::agent::{self, Settings};
use crate::exclusions::Exclusions;
use crate::{socket, store};

/// Watch the uplink and remember who contacted whom, and who probed.
///
/// Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Ends with SIGINT or SIGTERM, and leaves
/// nothing attached.
#[derive(Args)]
#[command(after_help = "Example: tattler run --interface wan0")]
pub(super) struct Arguments {
    /// An uplink; may be given again [default: the interfaces of the IPv6 default routes]
    #[arg(long, value_name = "IF")]
    interface: Vec<String>,

    /// A prefix that is ours; may be given again [default: what netlink tells]
    #[arg(long, value_name = "PREFIX", value_parser = arguments::home)]
    home: Vec<Ipv6Net>,

    /// A prefix that is ours as well, such as the outside of NPTv6; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = arguments::home)]
    add_home: Vec<Ipv6Net>,

    /// A prefix that is not ours, with all inside; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = arguments::home)]
    exclude: Vec<Ipv6Net>,

    /// A local, or a prefix of them, that is meant to be reached; may be given again
    #[arg(long, value_name = "PREFIX", value_parser = agent::parse_remote)]
    public: Vec<Ipv6Net>,

    /// A NAT64 prefix of this network; may be given again [the well-known ones need not be]
    #[arg(long, value_name = "PREFIX", value_parser = agent::parse_remote)]
    nat64: Vec<Ipv6Net>,

    /// The directory for what is remembered
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT_DIR)]
    state: PathBuf,

    /// The socket that queries reach the sensor by
    #[arg(long, value_name = "PATH", default_value = socket::DEFAULT_PATH)]
    socket: PathBuf,

    /// Where metrics and health are served; '' for nowhere
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::1]:9646", value_parser = parse_listen)]
    listen: Listen,
}

/// An address to listen on, or none.
#[derive(Clone, Copy)]
struct Listen(Option<SocketAddr>);

fn parse_listen(text: &str) -> Result<Listen, &'static str> {
    if text.is_empty() {
        return Ok(Listen(None));
    }
    let address = text.parse().map_err(|_| "expected an address and a port, as [::1]:9646")?;
    Ok(Listen(Some(address)))
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let settings = Settings {
        interfaces: arguments.interface,
        home: arguments.home,
        home_add: arguments.add_home,
        home_exclude: arguments.exclude,
        public: arguments.public,
        nat64: arguments.nat64,
        keep_mac: false,
        state: arguments.state,
        socket: arguments.socket,
        listen: arguments.listen.0,
        store: store::Settings::default(),
        exclusions: Exclusions::default(),
    };
    // One thread: the ring is drained in turns, and what blocks has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        agent::run(settings, shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One line for each thing worth saying; RUST_LOG asks for more or less.
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
