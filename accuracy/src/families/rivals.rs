//! What looks like a leak of somebody and is none, or can't be told from one.

use super::{Expect, Family};
use crate::network::plan::{Plan, Rival};
use crate::network::size::Size;

pub(super) const FAMILIES: &[Family] = &[
    Family::without("on-path", "somebody on the path passes on 5 % of all contacts", Expect::NotStrong, |size| {
        rival(size, Rival::OnPath(0.05))
    }),
    Family::without("one-device", "one device tells of its own addresses", Expect::NotStrong, |size| {
        rival(size, Rival::OneDevice(0.8))
    }),
    Family::without("hitlist", "half of the addresses are probed two months later", Expect::Nobody, |size| {
        rival(size, Rival::Hitlist(0.5, 60.0))
    }),
    Family::without(
        "framing",
        "an attacker probes after half of the contacts with a popular site",
        Expect::Undecidable,
        |size| rival(size, Rival::Framing(0.5)),
    ),
];

fn rival(size: Size, rival: Rival) -> Plan {
    Plan { rival: Some(rival), ..Plan::clean(size) }
}
