//! The home: a router with radvd on a bridge, and hosts that take temporary addresses from it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::process::Daemon;

use super::netns::Namespace;
use super::plan;

/// The interface of each host.
pub const HOST_INTERFACE: &str = "eth0";

/// radvd's minimum for a link that hosts come to at any time. Lifetimes exceed those of the
/// temporary addresses, which end by the hosts' own settings.
const RADVD: &str = "interface lan {
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix LAN { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 300; AdvPreferredLifetime 200; };
};
";

/// A host takes a new temporary address some five seconds before the old one is deprecated, so
/// about every seven; the old one stays valid for a minute, as long as late probes may come.
const HOST_SETTINGS: [&str; 7] = [
    "net.ipv6.conf.default.disable_ipv6=0",
    "net.ipv6.conf.default.accept_ra=1",
    "net.ipv6.conf.default.autoconf=1",
    "net.ipv6.conf.default.use_tempaddr=2",
    "net.ipv6.conf.default.temp_prefered_lft=12",
    "net.ipv6.conf.default.temp_valid_lft=60",
    // Hosts fall out of step by up to this many seconds.
    "net.ipv6.conf.default.max_desync_factor=2",
];

/// Dropped in this order: radvd before the namespace it is in.
pub struct Home {
    radvd: Daemon,
    hosts: Vec<Namespace>,
    router: Namespace,
}

impl Home {
    /// Builds the home at the end of a veth of the provider's router `core`.
    pub fn start(dir: &Path, core: &Namespace) -> Result<Self> {
        let router = Namespace::new("router")?;
        router.sysctl(&["net.ipv6.conf.all.forwarding=1"])?;
        router.link(plan::UPLINK, core, "home")?;
        connect_uplink(&router, core)?;
        router.configure(&[
            // Without snooping: no router here asks for reports.
            "link add lan type bridge mcast_snooping 0",
            "link set lan up",
            &format!("address add {} dev lan nodad", plan::LAN_ROUTER),
            // Packets to unused parts of the delegated prefix are refused here, not returned to the provider.
            &format!("route add unreachable {}", plan::HOME),
        ])?;
        let hosts = (1..=plan::HOSTS).map(|number| host(number, &router)).collect::<Result<Vec<_>>>()?;
        let radvd = start_radvd(dir, &router)?;
        Ok(Self { radvd, hosts, router })
    }

    /// Fails if radvd has ended: hosts would take no more addresses.
    pub fn check(&mut self) -> Result<()> {
        self.radvd.check()
    }

    pub fn router(&self) -> &Namespace {
        &self.router
    }

    pub fn hosts(&self) -> &[Namespace] {
        &self.hosts
    }
}

fn connect_uplink(router: &Namespace, core: &Namespace) -> Result<()> {
    let (ours, theirs) = (plan::UPLINK_ROUTER, plan::UPLINK_PROVIDER);
    let uplink = plan::UPLINK;
    core.configure(&[
        format!("address add {theirs}/64 dev home nodad"),
        "link set home up".to_owned(),
        format!("route add {} via {ours}", plan::HOME),
    ])?;
    router.configure(&[
        format!("address add {ours}/64 dev {uplink} nodad"),
        format!("link set {uplink} up"),
        format!("route add default via {theirs}"),
    ])
}

fn host(number: usize, router: &Namespace) -> Result<Namespace> {
    let host = Namespace::new(&format!("host{number}"))?;
    // Before the interface comes: it takes the defaults of its namespace.
    host.sysctl(&HOST_SETTINGS)?;
    let port = format!("host{number}");
    router.link(&port, &host, HOST_INTERFACE)?;
    router.configure(&[format!("link set {port} master lan up")])?;
    host.configure(&[format!("link set {HOST_INTERFACE} up")])?;
    Ok(host)
}

fn start_radvd(dir: &Path, router: &Namespace) -> Result<Daemon> {
    let config = dir.join("radvd.conf");
    fs::write(&config, RADVD.replace("LAN", plan::LAN)).context("write radvd.conf")?;
    let log = fs::File::create(dir.join("radvd.log")).context("write radvd.log")?;
    let mut radvd = router.command("radvd")?;
    radvd.args(["--nodaemon", "--logmethod=stderr", "--config"]).arg(&config);
    radvd.arg("--pidfile").arg(dir.join("radvd.pid"));
    radvd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Daemon::spawn("radvd", &mut radvd)
}
