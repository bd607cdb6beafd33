//! Uplinks, XDP modes, offloads, IPv6, home.

use std::fs;
use std::process::Command;

use tattler_core::home::{self, NetworkDevice, NetworkState};

use super::Check;
use crate::config::Config;
use crate::netlink::{self, LinkDetails, Netlink, generic};

/// ARPHRD_ETHER and ARPHRD_LOOPBACK: the device types with XDP in drivers.
const ETHERNET: [u16; 2] = [1, 772];

pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let read = async {
        let netlink = Netlink::connect()?;
        Ok::<_, netlink::NetlinkError>((netlink.network().await?, netlink.links().await?))
    };
    let (network, links) = match read.await {
        Ok(read) => read,
        Err(error) => return vec![Check::problem("network", error.to_string(), "see that the kernel has CONFIG_NET")],
    };
    let mut checks = Vec::new();
    let uplinks = uplinks(&network, &config.sensor.interfaces, &mut checks);
    for uplink in &uplinks {
        checks.extend(device(uplink, &links));
    }
    checks.push(flowtables());
    checks.extend(ipv6(&network, &uplinks));
    checks.push(home(&network, &uplinks, config));
    checks
}

/// The devices that the sensor would watch. Reports missing ones.
fn uplinks(network: &NetworkState, names: &[String], checks: &mut Vec<Check>) -> Vec<NetworkDevice> {
    if names.is_empty() {
        let found = network.default_uplinks();
        if found.is_empty() {
            let advice = "bring IPv6 up, or name the uplink with --interface or sensor.interfaces";
            checks.push(Check::problem("uplink", "there is no IPv6 default route to find the uplink by", advice));
        }
        return found;
    }
    let advice = "see `ip link` for those there are; correct --interface or sensor.interfaces";
    for name in names.iter().filter(|name| network.device(name).is_none()) {
        checks.push(Check::problem("uplink", format!("there is no interface {name}"), advice));
    }
    names.iter().filter_map(|name| network.device(name).cloned()).collect()
}

fn device(device: &NetworkDevice, links: &[LinkDetails]) -> Vec<Check> {
    let name = device.name.as_str();
    let link = links.iter().find(|link| link.device.index == device.index);
    let kind = link.and_then(|link| link.kind.as_deref());
    let what = match (kind, driver(device)) {
        (Some(kind), _) => format!("{name} ({kind})"),
        (None, Some(driver)) => format!("{name} (driver {driver})"),
        (None, None) => name.to_owned(),
    };
    let mut checks = vec![if link.is_some_and(|link| link.running) {
        Check::ok("uplink", format!("{what} is up"))
    } else {
        let advice = format!("run `ip link set {name} up`, and see to the cable");
        Check::problem("uplink", format!("{what} is down"), advice)
    }];
    let generic_xdp = "nothing: XDP runs in the network stack, which sees the same packets at a higher price";
    checks.push(match generic::takes_xdp(device.index) {
        _ if !ETHERNET.contains(&device.kind) => {
            Check::ok("xdp", format!("{name}: generic; no driver of such a device has another"))
        }
        Ok(true) => Check::ok(
            "xdp",
            format!("{name}: native is supported by the driver; `tattler status` shows the actual mode"),
        ),
        Ok(false) => Check::note("xdp", format!("{name}: generic; the driver supports no XDP programs"), generic_xdp),
        Err(_) => Check::note(
            "xdp",
            format!("{name}: this kernel (before 6.3) does not say what the driver supports"),
            "nothing: `tattler run` tries native first and logs the actual mode",
        ),
    });
    let vlans: Vec<&str> = links
        .iter()
        .filter(|link| link.below == Some(device.index) && link.kind.as_deref() == Some("vlan"))
        .map(|link| link.device.name.as_str())
        .collect();
    checks.extend(offloads(name, &vlans, generic::offloads(device.index).ok().as_deref()));
    checks
}

/// The driver by sysfs. It may be the sysfs of another network namespace, so the index must be the same.
fn driver(device: &NetworkDevice) -> Option<String> {
    let dir = format!("/sys/class/net/{}", device.name);
    let index: u32 = fs::read_to_string(format!("{dir}/ifindex")).ok()?.trim().parse().ok()?;
    let driver = fs::read_link(format!("{dir}/device/driver")).ok()?;
    (index == device.index).then(|| driver.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Offloads that hide packets or tags. `vlans` are the VLANs on the device.
fn offloads(name: &str, vlans: &[&str], active: Option<&[String]>) -> Vec<Check> {
    let Some(active) = active else {
        return vec![Check::note(
            "offloads",
            format!("{name}: the kernel does not list them"),
            format!("see `ethtool --show-features {name}` for rx-vlan-offload and hw-tc-offload"),
        )];
    };
    let on = |feature: &str| active.iter().any(|name| name == feature);
    let mut checks = Vec::new();
    if on("rx-vlan-hw-parse") && !vlans.is_empty() {
        let found = format!("the card takes VLAN tags off before XDP sees them, so {} look untagged", vlans.join(", "));
        let vlan = format!("watch the VLAN that leads to the internet (--interface {})", vlans[0]);
        let advice = format!("{vlan}, or run `ethtool -K {name} rxvlan off`");
        checks.push(Check::note("offloads", format!("{name}: {found}"), advice));
    }
    if on("hw-tc-offload") {
        checks.push(Check::note(
            "offloads",
            format!("{name}: hw-tc-offload is on; flows that a TC rule leaves to the card pass unseen"),
            format!("if nothing needs it, run `ethtool -K {name} hw-tc-offload off`"),
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok("offloads", format!("{name}: none that hides packets or tags")));
    }
    checks
}

/// Flows that nftables offloads to the card never reach the processor.
fn flowtables() -> Check {
    let advice = "see `nft list flowtables`; take `offload` out of their flags";
    let is_loaded = |line: &str| line.starts_with("nf_flow_table");
    match Command::new("nft").args(["list", "flowtables"]).output() {
        Ok(output) if output.status.success() => flowtables_of(&String::from_utf8_lossy(&output.stdout)),
        Ok(_) => Check::note("flowtables", "nft may not list them", advice),
        Err(_) if fs::read_to_string("/proc/modules").unwrap_or_default().lines().any(is_loaded) => {
            Check::note("flowtables", "there may be some, and nft is not installed to see", advice)
        }
        Err(_) => Check::ok("flowtables", "none: the kernel has not loaded them"),
    }
}

fn flowtables_of(list: &str) -> Check {
    let hardware = |line: &&str| line.trim().strip_prefix("flags").is_some_and(|flags| flags.contains("offload"));
    match list.lines().filter(hardware).count() {
        0 => Check::ok("flowtables", "none in hardware"),
        n => Check::problem(
            "flowtables",
            format!("{n} with hardware offload: packets of their flows pass unseen"),
            "take `offload` out of the flags of the flowtables in your nftables rules",
        ),
    }
}

fn ipv6(network: &NetworkState, uplinks: &[NetworkDevice]) -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{path}")).unwrap_or_default();
    let is = |path: &str, value: &str| read(path).trim() == value;
    if is("all/disable_ipv6", "1") || read("all/disable_ipv6").is_empty() {
        return vec![Check::problem("ipv6", "switched off", "set net.ipv6.conf.all.disable_ipv6=0 with sysctl")];
    }
    let routes = is("all/forwarding", "1");
    let mut checks = vec![if routes {
        Check::ok("ipv6", "this machine forwards: a router")
    } else {
        let advice = "nothing, unless it is the router: then set net.ipv6.conf.all.forwarding=1 with sysctl";
        Check::note("ipv6", "this machine does not forward: a host, so it sees only probes of itself", advice)
    }];
    for NetworkDevice { name, index, .. } in uplinks {
        // With forwarding, 1 disables router advertisements.
        if routes && is(&format!("{name}/accept_ra"), "1") {
            checks.push(Check::note(
                "accept_ra",
                format!("{name}: router advertisements are ignored while this machine forwards"),
                format!("if the uplink gets its address or route by them, set net.ipv6.conf.{name}.accept_ra=2"),
            ));
        }
        let temporary = network.addresses.iter().any(|a| a.device == *index && a.temporary);
        let enabled = is(&format!("{name}/use_tempaddr"), "1") || is(&format!("{name}/use_tempaddr"), "2");
        if !routes && !temporary && !enabled {
            checks.push(Check::note(
                "temporary",
                format!("{name}: no temporary addresses by the kernel; leaks of stable ones are hard to prove"),
                format!("set net.ipv6.conf.{name}.use_tempaddr=2, or let your network manager do it"),
            ));
        }
    }
    checks
}

fn home(network: &NetworkState, uplinks: &[NetworkDevice], config: &Config) -> Check {
    let home = home::home(network, uplinks, &config.home.for_netlink());
    let ours: Vec<String> = home.iter().filter(|home| home.ours).map(|home| home.prefix.to_string()).collect();
    if ours.is_empty() {
        let advice = "see `ip -6 address` for global addresses, or set home.prefixes";
        Check::problem("home", "no prefix is ours, so nothing would be recorded", advice)
    } else {
        Check::ok("home", ours.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn only_offloads_that_hide_packets_or_tags_are_notes() {
        let active = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let levels = |vlans: &[&str], names: &[&str]| {
            offloads("wan0", vlans, Some(&active(names))).iter().map(|check| check.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(&["wan0.7"], &["rx-gro", "tx-vlan-hw-insert"]), [Level::Ok]);
        assert_eq!(levels(&[], &["rx-vlan-hw-parse"]), [Level::Ok], "without VLANs there are no tags to hide");
        assert_eq!(levels(&["wan0.7"], &["rx-vlan-hw-parse", "hw-tc-offload"]), [Level::Note, Level::Note]);
        let notes = offloads("wan0", &["wan0.7"], Some(&active(&["rx-vlan-hw-parse"])));
        assert!(notes[0].advice.as_ref().unwrap().contains("--interface wan0.7"), "{notes:?}");
    }

    #[test]
    fn only_flowtables_in_hardware_are_a_problem() {
        let software = "table inet fw {\n\tflowtable f {\n\t\thook ingress priority filter\n\t\tdevices = { \"lan0\", \"wan0\" }\n\t}\n}\n";
        assert_eq!(flowtables_of(software).level, Level::Ok);
        let hardware = software.replace("\n\t}\n}", "\n\t\tflags offload\n\t}\n}");
        assert_eq!(flowtables_of(&hardware).level, Level::Problem);
        let named = software.replace("flowtable f ", "flowtable offload ");
        assert_eq!(flowtables_of(&named).level, Level::Ok);
    }
}
