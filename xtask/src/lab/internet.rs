//! The simulated internet: a core router, surrounded by sites, the NTP pool, scanners and sweepers.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Daemon;

use super::netns::Namespace;
use super::plan;

/// Name of each part's interface towards the core router.
pub const INTERFACE: &str = "eth0";

/// The internet's parts. They are dropped in this order: daemons before their namespaces.
pub struct Internet {
    daemons: Vec<Daemon>,
    /// Namespaces of the parts, by label.
    parts: BTreeMap<&'static str, Namespace>,
    /// The provider's router.
    pub core: Namespace,
}

impl Internet {
    /// Builds the internet and waits until every server answers at its address.
    pub fn start(dir: &Path) -> Result<Self> {
        let core = Namespace::new("core")?;
        core.sysctl(&["net.ipv6.conf.all.forwarding=1"])?;
        let mut parts = BTreeMap::new();
        let mut sites = [plan::popular_sites(), plan::rare_sites(), plan::third_party_addresses()].concat();
        sites.retain(|site| *site != plan::harvesting_site());
        for (label, addresses) in [
            ("sites", sites.clone()),
            ("site", vec![plan::harvesting_site()]),
            ("pool", plan::pool()),
            ("scanner1", plan::server_scanner().to_vec()),
            ("scanner2", plan::site_scanner().to_vec()),
            ("sweepers", plan::sweepers().to_vec()),
            ("probers", plan::path_probers().to_vec()),
        ] {
            parts.insert(label, part(label, &addresses, &core)?);
        }
        let mut internet = Self { daemons: Vec::new(), parts, core };
        internet.start_nginx(dir, "sites", &sites)?;
        internet.start_nginx(dir, "site", &[plan::harvesting_site()])?;
        for server in plan::pool() {
            internet.start_chronyd(dir, server)?;
        }
        internet.wait_for_servers(dir)?;
        Ok(internet)
    }

    /// Fails if a server of the internet has ended.
    pub fn check(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::check)
    }

    /// The namespace of the part to which `start` gave this label.
    pub fn part(&self, label: &str) -> &Namespace {
        &self.parts[label]
    }

    fn start_nginx(&mut self, dir: &Path, label: &str, addresses: &[Ipv6Addr]) -> Result<()> {
        let home = dir.join(label);
        fs::create_dir(&home).with_context(|| format!("make {}", home.display()))?;
        let config = home.join("nginx.conf");
        fs::write(&config, nginx_config(&home, addresses)).context("write nginx.conf")?;
        let mut nginx = self.part(label).command("nginx")?;
        nginx.arg("-p").arg(&home).arg("-c").arg(&config).arg("-e").arg(home.join("error.log"));
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(Daemon::spawn("nginx", &mut nginx)?);
        Ok(())
    }

    fn start_chronyd(&mut self, dir: &Path, server: Ipv6Addr) -> Result<()> {
        let home = server_dir(dir, server);
        // chronyd refuses to make its control socket in a directory that others can write to.
        fs::DirBuilder::new().mode(0o700).create(&home).with_context(|| format!("make {}", home.display()))?;
        let config = home.join("chrony.conf");
        fs::write(&config, chrony_config(&home, server)).context("write chrony.conf")?;
        let log = fs::File::create(home.join("log")).context("write chronyd's log")?;
        let mut chronyd = self.part("pool").command("chronyd")?;
        // -x: do not set the machine's clock.
        chronyd.args(["-x", "-d", "-u", "root", "-f"]).arg(&config);
        chronyd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemons.push(Daemon::spawn("chronyd", &mut chronyd)?);
        Ok(())
    }

    /// Fails if a server can't start. Without this check, only missing visits would show the failure, much later.
    fn wait_for_servers(&mut self, dir: &Path) -> Result<()> {
        let logs = ["sites", "site"].map(|label| dir.join(label).join("nginx.pid"));
        let sockets = plan::pool().into_iter().map(|server| control_socket(dir, server));
        let signs: Vec<PathBuf> = logs.into_iter().chain(sockets).collect();
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(missing) = signs.iter().find(|sign| !sign.exists()) {
            self.check()?;
            if Instant::now() > deadline {
                bail!("a server of the lab did not start: there is no {}", missing.display());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// The access log of a part with web servers: `site` (the harvesting site) or `sites` (the others).
pub fn access_log(dir: &Path, label: &str) -> PathBuf {
    dir.join(label).join("access.log")
}

/// The control socket of a chronyd, through which it lists its clients.
pub fn control_socket(dir: &Path, server: Ipv6Addr) -> PathBuf {
    server_dir(dir, server).join("chronyd.sock")
}

fn server_dir(dir: &Path, server: Ipv6Addr) -> PathBuf {
    dir.join(format!("ntp-{:x}", server.segments()[1]))
}

/// A namespace with these addresses, connected to the core. Next hops are fixed link-local addresses, so that the link
/// needs no prefix.
fn part(label: &str, addresses: &[Ipv6Addr], core: &Namespace) -> Result<Namespace> {
    let namespace = Namespace::new(label)?;
    core.link(label, &namespace, INTERFACE)?;
    let mut here = vec![
        format!("address add fe80::2/64 dev {INTERFACE} nodad"),
        format!("link set {INTERFACE} up"),
        format!("route add default via fe80::1 dev {INTERFACE}"),
    ];
    let mut there = vec![format!("address add fe80::1/64 dev {label} nodad"), format!("link set {label} up")];
    for address in addresses {
        here.push(format!("address add {address}/128 dev {INTERFACE} nodad"));
        there.push(format!("route add {address}/128 via fe80::2 dev {label}"));
    }
    core.configure(&there)?;
    namespace.configure(&here)?;
    Ok(namespace)
}

/// Configuration of an nginx with a single process, which uses no files of the system's nginx. Its log contains only
/// the visitors' addresses.
fn nginx_config(home: &Path, addresses: &[Ipv6Addr]) -> String {
    let home = home.display();
    let listens: String = addresses.iter().map(|address| format!("        listen [{address}]:80;\n")).collect();
    format!(
        "daemon off;
master_process off;
user root;
pid {home}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    log_format visitor '$remote_addr';
    access_log {home}/access.log visitor;
    server {{
{listens}        location / {{ return 200 'hello\\n'; }}
    }}
}}
"
    )
}

fn chrony_config(home: &Path, server: Ipv6Addr) -> String {
    let home = home.display();
    format!(
        "local stratum 1
allow ::/0
bindaddress {server}
cmdport 0
bindcmdaddress {home}/chronyd.sock
pidfile {home}/chronyd.pid
"
    )
}
