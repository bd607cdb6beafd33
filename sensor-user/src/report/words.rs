//! Numbers and names as people write them.

use ipnet::Ipv6Net;

/// `1 probe`, `3 probes`.
pub(crate) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// An address alone, or else a prefix with its length.
pub(crate) fn remote_name(prefix: Ipv6Net) -> String {
    let text = prefix.trunc().to_string();
    text.strip_suffix("/128").unwrap_or(&text).to_owned()
}

/// `another remote`, `3 other remotes`.
pub(super) fn number(n: u64, one: &str, many: &str) -> String {
    if n == 1 { one.to_owned() } else { format!("{n} {many}") }
}

/// `0.04`, `3e-7`.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p >= 0.995 => "1".to_owned(),
        p if p >= 0.1 => format!("{p:.1}"),
        p if p >= 0.01 => format!("{p:.2}"),
        p if p >= 0.001 => format!("{p:.3}"),
        p => format!("{p:.0e}"),
    }
}

/// `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_chances_read_well_at_every_size() {
        assert_eq!([0.42, 12.0, 300.0, 21_600.0, 259_200.0].map(duration), ["0.4 s", "12 s", "5 min", "6 h", "3 d"]);
        assert_eq!([1.0, 0.5, 0.042, 0.0042, 3e-7, 0.0].map(p_value), ["1", "0.5", "0.04", "0.004", "3e-7", "0e0"]);
    }
}
