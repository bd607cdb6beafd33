//! The simulated home: a router with radvd on a bridge, and hosts that form temporary addresses in the announced
//! prefix.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::process::Daemon;

use super::netns::Namespace;
use super::plan;

/// Name of the interface of each host.
pub const HOST_INTERFACE: &str = "eth0";

/// Configuration of radvd with its shortest intervals. The announced lifetimes exceed the lifetimes of the temporary
/// addresses, which the hosts' own settings limit.
const RADVD: &str = "interface lan {
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix LAN { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 300; AdvPreferredLifetime 200; };
};
";

/// Kernel parameters of a host. A host takes a new temporary address some five seconds before the old address is
/// deprecated, so about every seven seconds. The old address stays valid for a minute, since probes may come late.
const HOST_SETTINGS: [&str; 7] = [
    "net.ipv6.conf.default.disable_ipv6=0",
    "net.ipv6.conf.default.accept_ra=1",
    "net.ipv6.conf.default.autoconf=1",
    "net.ipv6.conf.default.use_tempaddr=2",
    "net.ipv6.conf.default.temp_prefered_lft=12",
    "net.ipv6.conf.default.temp_valid_lft=60",
    // Random offset of up to this many seconds, so that the hosts do not change addresses at the same time.
    "net.ipv6.conf.default.max_desync_factor=2",
];

/// The home's parts. They are dropped in this order: radvd before its namespace.
pub struct Home {
    radvd: Daemon,
    pub hosts: Vec<Namespace>,
    pub router: Namespace,
}

impl Home {
    /// Builds the home behind the provider's router `core`, connected by a veth.
    pub fn start(dir: &Path, core: &Namespace) -> Result<Self> {
        let router = Namespace::new("router")?;
        router.sysctl(&["net.ipv6.conf.all.forwarding=1"])?;
        router.link(plan::UPLINK, core, "home")?;
        connect_uplink(&router, core)?;
        router.configure(&[
            // Multicast snooping is off: it needs queries, and no device here sends queries.
            "link add lan type bridge mcast_snooping 0",
            "link set lan up",
            &format!("address add {} dev lan nodad", plan::LAN_ROUTER),
            // The router refuses packets to unused parts of the delegated prefix and does not send them back.
            &format!("route add unreachable {}", plan::HOME),
        ])?;
        let hosts = (1..=plan::HOSTS).map(|number| host(number, &router)).collect::<Result<Vec<_>>>()?;
        let radvd = start_radvd(dir, &router)?;
        Ok(Self { radvd, hosts, router })
    }

    /// Fails if radvd has ended: the hosts would form no more addresses.
    pub fn check(&mut self) -> Result<()> {
        self.radvd.check()
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
    // Before the interface is made: a new interface takes the default settings of its namespace.
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
