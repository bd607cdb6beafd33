//! Boot time and wall clock.

use sensor_common::wire::BootTime;

use crate::time::Time;

/// Nanoseconds since boot, suspend included: the clock of the events.
#[must_use]
pub fn boot() -> BootTime {
    read(libc::CLOCK_BOOTTIME)
}

/// The wall clock.
#[must_use]
pub fn wall() -> Time {
    Time::from_nanos(read(libc::CLOCK_REALTIME).try_into().unwrap_or(i64::MAX))
}

/// The wall-clock time at which boot time was 0, by today's wall clock.
#[must_use]
pub fn booted() -> Time {
    let boot = i64::try_from(boot() / 1_000).unwrap_or(i64::MAX);
    Time(wall().0.saturating_sub(boot))
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing, and both clocks exist on every kernel that we run on.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_and_its_origin_add_up_to_the_wall_clock() {
        let sum = booted().0 + i64::try_from(boot() / 1_000).unwrap();
        assert!((wall().0 - sum).abs() < 100_000);
    }
}
