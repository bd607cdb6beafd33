//! Up to where the events of a ring are stored: the next run of the sensor continues there.

use sensor_common::wire::BootTime;

/// Up to where the events of a ring are stored. It is written in one transaction with the events, so that a sensor
/// that is killed at any moment has every event once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The boot of the machine: /proc/sys/kernel/random/boot_id.
    pub boot: u128,
    /// The ring: the kernel's number for it, unique within a boot.
    pub ring: u32,
    /// Bytes since the ring was created.
    pub position: u64,
    /// Since when the uplinks have been watched without a gap.
    pub since: BootTime,
}

/// The number of this boot of the machine; 0 if it cannot be read.
#[must_use]
pub fn boot() -> u128 {
    parse(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()).unwrap_or(0)
}

/// A UUID of hexadecimal digits and dashes.
fn parse(uuid: &str) -> Option<u128> {
    u128::from_str_radix(&uuid.trim().replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_keeps_its_number() {
        assert_eq!(parse("0000000a-0000-0000-0000-00000000000b\n"), Some((10 << 96) + 11));
        assert_eq!(parse("none"), None);
        assert_ne!(boot(), 0);
        assert_eq!(boot(), boot());
    }
}
