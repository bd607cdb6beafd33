//! Text of numbers, lists and times for readers.

use ipnet::Ipv6Net;

use crate::time::Time;

/// A number and its noun: `1 probe`, `3 probes`.
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// An address without `/128`, or a prefix with its length.
pub fn remote_name(prefix: Ipv6Net) -> String {
    let text = prefix.trunc().to_string();
    text.strip_suffix("/128").unwrap_or(&text).to_owned()
}

/// The verb for a number: `was` or `were`.
pub(super) fn were(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// Text of a p-value: `0.04`, `3e-7`.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p >= 0.995 => "1".to_owned(),
        p if p >= 0.1 => format!("{p:.1}"),
        p if p >= 0.01 => format!("{p:.2}"),
        p if p >= 0.001 => format!("{p:.3}"),
        p => format!("{p:.0e}"),
    }
}

/// Text of a share: `62 %`. Rounding never changes another share to 0 or 100 %.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 0.0 && p < 1.0 => "<1 %".to_owned(),
        p if p > 99.0 && p < 100.0 => ">99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// Text of a ratio, given its natural logarithm: `1.4`, `25`, `17,000`. No model is exact enough for figures above a
/// million.
pub(super) fn times(ln: f64) -> String {
    match ln.exp() {
        n if n < 9.95 => format!("{n:.1}"),
        n if n < 999.5 => format!("{n:.0}"),
        n if n < 999_500.0 => format!("{:.0},000", n / 1_000.0),
        _ => "more than a million".to_owned(),
    }
}

/// Text of a time in UTC: `2026-09-01 03:51:56`.
pub(super) fn instant(ts: Time) -> String {
    let text = ts.to_string();
    // Years beyond 9999 have another form.
    let seconds = text.split('.').next().unwrap_or(&text);
    seconds.trim_end_matches('Z').replacen('T', " ", 1)
}

/// Text of a list: `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Text of a duration: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`.
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
    fn durations_and_shares_read_well_at_every_size() {
        assert_eq!([0.42, 12.0, 300.0, 21_600.0, 259_200.0].map(duration), ["0.4 s", "12 s", "5 min", "6 h", "3 d"]);
        assert_eq!([1.0, 0.5, 0.042, 0.0042, 3e-7, 0.0].map(p_value), ["1", "0.5", "0.04", "0.004", "3e-7", "0e0"]);
        assert_eq!([0.0, 0.004, 0.62, 0.9999, 1.0].map(percent), ["0 %", "<1 %", "62 %", ">99 %", "100 %"]);
        assert_eq!([0.3, 3.2, 8.0, 13.8].map(times), ["1.3", "25", "3,000", "985,000"]);
        assert_eq!([14.0, 9_000.0].map(times), ["more than a million"; 2]);
    }

    #[test]
    fn lists_and_times_read_well() {
        assert_eq!(["a", "b", "c"].map(String::from).chunks(2).map(list).collect::<Vec<_>>(), ["a and b", "c"]);
        assert_eq!(list(&["a", "b", "c"].map(String::from)), "a, b and c");
        assert_eq!(instant(Time::from_seconds(100_000)), "1970-01-02 03:46:40");
    }
}
