//! Asks which BPF program a TC filter runs. Blocking; reads only.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;

use super::message::{self, find};

/// linux/rtnetlink.h
const RTM_GETTFILTER: u16 = 46;
const TCA_OPTIONS: u16 = 2;
/// The family, the device, handle and parent, priority and protocol: struct tcmsg.
const TCMSG: usize = 20;
/// linux/pkt_cls.h
const TCA_BPF_ID: u16 = 11;
/// linux/if_ether.h, in network order.
const ETH_P_ALL: u16 = 3u16.to_be();
/// linux/pkt_sched.h: the two hooks of a clsact qdisc.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// The number of the program in the filter at a priority and handle; `None` if no BPF filter is there.
///
/// # Errors
/// When the kernel does not answer.
pub(crate) fn program(device: u32, ingress: bool, priority: u16, handle: u32) -> io::Result<Option<u32>> {
    let parent = if ingress { INGRESS } else { EGRESS };
    let info = u32::from(priority) << 16 | u32::from(ETH_P_ALL);
    let request = [0, device, handle, parent, info].map(u32::to_ne_bytes).concat();
    let answer = match message::ask(NETLINK_ROUTE, RTM_GETTFILTER, &request) {
        Ok(answer) => answer,
        // No such filter, no qdisc that could have one, no such device.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let attributes = answer.get(TCMSG..).unwrap_or_default();
    let id = find(attributes, TCA_OPTIONS).and_then(|options| find(options, TCA_BPF_ID));
    Ok(id.and_then(|id| id.try_into().ok()).map(u32::from_ne_bytes))
}
