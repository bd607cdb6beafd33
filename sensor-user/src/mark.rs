//! The position in the ring up to which events are stored. The next run of the sensor continues there.

use sensor_common::wire::BootTime;

/// The position in the ring up to which events are stored. It is written in the same transaction as the
/// events, so each event is stored exactly once even if the sensor is killed at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The boot: /proc/sys/kernel/random/boot_id.
    pub boot: u128,
    /// The kernel's id of the ring's map, unique within a boot.
    pub ring: u32,
    /// Bytes since the ring was created.
    pub position: u64,
    /// The time since which the uplinks have been watched without a gap.
    pub since: BootTime,
}

/// The id of this boot; 0 if it can't be read.
#[must_use]
pub fn boot() -> u128 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    parse(&text).unwrap_or(0)
}

/// Reads a UUID of hexadecimal digits and dashes.
fn parse(uuid: &str) -> Option<u128> {
    u128::from_str_radix(&uuid.trim().replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_boot_does_not_change() {
        assert_eq!(parse("0000000a-0000-0000-0000-00000000000b\n"), Some((10 << 96) + 11));
        assert_eq!(parse("none"), None);
        assert_ne!(boot(), 0);
        assert_eq!(boot(), boot());
    }
}
