//! A printed filter reads back the same, no text panics, and errors have the right position.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::when;

const NOW: Time = Time(1_788_300_000_000_000);

fn read(text: &str) -> Result<Filter, FilterError> {
    parse(text, &Field::ALL, NOW)
}

/// A row with values for most fields.
struct Probe;

impl FilterRow for Probe {
    fn address(&self, field: Field) -> Option<Ipv6Addr> {
        match field {
            Field::Remote => "2a00:1::5".parse().ok(),
            Field::Local => "2001:db8::e014:9aff:5e49:ecb3".parse().ok(),
            _ => None,
        }
    }
    fn number(&self, field: Field) -> Option<u64> {
        match field {
            Field::Port => Some(22),
            Field::Count => Some(3),
            _ => None,
        }
    }
    fn word(&self, field: Field) -> Option<&'static str> {
        match field {
            Field::Kind => Some("syn"),
            Field::Proto => Some("tcp"),
            Field::Iid => Some("random"),
            _ => None,
        }
    }
    fn texts(&self, field: Field) -> [Option<&str>; 2] {
        match field {
            Field::Device => [Some("aa:bb"), Some("Printer")],
            Field::Name => [Some("2.debian.pool.ntp.org"), None],
            _ => [None, None],
        }
    }
    fn time(&self, field: Field) -> Option<Time> {
        match field {
            Field::First => when::time("2026-09-01T03:00:00Z", NOW).ok(),
            Field::Last => when::time("2026-09-01T05:00:00Z", NOW).ok(),
            _ => None,
        }
    }
    fn flag(&self, field: Field) -> bool {
        field == Field::Answered
    }
}

#[test]
fn a_row_passes_the_filters_that_are_true_of_it() {
    for (text, passes) in [
        ("remote in 2a00::/32 and port 22 and not device \"scanner\"", false),
        ("remote in 2a00::/16 and port 22 and not device \"scanner\"", true),
        ("source 2a00:1::5", true),
        ("source = 2a00:1::6, 2a00:1::5", true),
        ("source != 2a00:1::5", false),
        ("source not in (2a00:1::/32, 2b00::/16)", false),
        ("target 2001:db8::/64", true),
        ("port in 20-25, 80", true),
        ("port 80,443", false),
        ("port<1024", true),
        ("port>=22 and port<=22 and port!=23", true),
        ("port between 23 and 80", false),
        ("count > 2", true),
        ("kind syn, echo and proto tcp", true),
        ("iid = random", true),
        ("device printer", true),
        ("device 'AA:BB'", true),
        ("name *.pool.ntp.org", true),
        ("name \"*pool*\"", true),
        ("name pool", false),
        ("answered and not public", true),
        ("public or exposed or answered", true),
        ("port 80 or port 22 and answered", true),
        ("(port 80 or port 22) and public", false),
        ("first > 2026-09-01 and ts < 2026-09-01T04:00:00Z", true),
        ("first between 2026-09-01 and \"2026-09-01 03:00:00\"", true),
        ("last < 1h ago and first > 9d ago", true),
        ("lasted >= 2h and lasted < 121m", true),
        ("NOT port 80 AND Kind syn", true),
        // An unknown value fails every test, so it passes the negation.
        ("hop_limit < 60", false),
        ("hop_limit != 60", true),
    ] {
        let filter = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.passes(&Probe), passes, "{text}");
    }
}

#[test]
fn an_error_names_the_fault_and_its_column() {
    for (text, column, message) in [
        ("", 1, "expected a field, not the end: there are local"),
        ("port", 5, "expected a number from 0 to 65535 for port, or a range as 1-9, not the end"),
        ("port 99999", 6, "not `99999`"),
        ("port 9-1", 6, "a range as 1-9, not `9-1`"),
        ("port 22 23", 9, "expected `and`, `or` or the end, not `23`"),
        ("port 22 && kind syn", 9, "expected `and`, `or` or the end, not `&&`"),
        ("port < 0", 8, "nothing is < `0`"),
        ("port > 65535", 8, "nothing is > `65535`"),
        ("prot tcp", 1, "there is no field `prot` here: there are local (target), remote (source), port"),
        ("remote in 2a00::/129", 11, "expected an IPv6 address or a prefix as 2a00::/32, not `2a00::/129`"),
        ("remote 192.0.2.1", 8, "expected an IPv6 address"),
        ("remote < 2a00::", 8, "remote has no order"),
        ("kind ping", 6, "expected echo, syn, udp or tcp-other, not `ping`"),
        ("(port 22", 9, "expected `and`, `or` or `)`, not the end"),
        ("port 22)", 8, "no parenthesis is open here"),
        ("device \"printer", 8, "no \" ends the text that begins here"),
        ("device and port 22", 8, "expected a text, not `and`"),
        ("first 2026-09-01", 7, "first wants <, <=, >, >= or `between`"),
        ("first > yesterday", 9, "expected a time as 2026-09-01"),
        ("port 22 and", 12, "expected a field, not the end"),
        ("port between 5 and 3", 14, "swap them"),
        ("näme x and port y", 1, "there is no field `näme`"),
        ("name ä and port y", 17, "not `y`"),
    ] {
        let error = read(text).expect_err(text);
        assert_eq!(error.column(), column, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn the_caret_stands_below_the_error() {
    let error = read("name ä and port y").unwrap_err();
    assert_eq!(error.caret(), ["name ä and port y".to_owned(), " ".repeat(16) + "^"]);
    let long = "port 22 and port x".to_owned() + &" and port 22".repeat(100);
    let [shown, caret] = read(&long).unwrap_err().caret();
    assert!(shown.chars().count() <= 120 && caret.ends_with('^'));
    let far = "port 22 and ".repeat(100) + "port x";
    let [shown, caret] = read(&far).unwrap_err().caret();
    assert_eq!(&shown[caret.len() - 1..], "x");
}

#[test]
fn a_field_that_the_query_lacks_is_refused() {
    let error = parse("kind syn", &[Field::Port, Field::Proto], NOW).unwrap_err();
    assert!(error.message.contains("there is no field `kind` here: there are port, proto"), "{error}");
}

#[test]
fn nesting_and_length_are_bounded() {
    for (deep, ok) in [(MAX_DEPTH - 1, true), (MAX_DEPTH, false), (8_000, false)] {
        let text = "(".repeat(deep) + "answered" + &")".repeat(deep);
        assert_eq!(read(&text).is_ok(), ok, "{deep} parentheses");
    }
    assert!(read(&("not ".repeat(2_000) + "answered")).is_err());
    assert!(read(&("answered or ".repeat(1_000) + "answered")).is_ok());
    assert!(read(&" ".repeat(MAX_LENGTH + 1)).unwrap_err().message.contains("longer"));
}

#[test]
fn a_pattern_with_many_stars_is_fast() {
    let text = "a".repeat(5_000);
    assert!(!is_like(&text, &("*a".repeat(2_000) + "b")));
    assert!(is_like(&text, "*a*a*a"));
    assert!(is_like("", "*") && is_like("", "") && !is_like("", "a") && !is_like("a", ""));
}

fn nets() -> impl Strategy<Value = FieldTest> {
    let net = (any::<u128>(), 0u8..=128)
        .prop_map(|(bits, length)| Ipv6Net::new(Ipv6Addr::from(bits), length).unwrap().trunc());
    vec(net, 1..4).prop_map(FieldTest::In)
}

fn numbers(most: u64) -> impl Strategy<Value = FieldTest> {
    let range = (0..=most, 0..=most).prop_map(|(a, b)| a.min(b)..=a.max(b));
    vec(range, 1..4).prop_map(FieldTest::Numbers)
}

fn words(words: &'static [&'static str]) -> impl Strategy<Value = FieldTest> {
    vec(proptest::sample::select(words), 1..3).prop_map(FieldTest::Words)
}

/// Ranges of microseconds with at most one open end.
fn micros(least: i64) -> impl Strategy<Value = (i64, i64)> {
    let value = 0i64..4_000_000_000_000_000;
    (value.clone(), value, 0..3).prop_map(move |(a, b, open)| match open {
        0 => (least, a),
        1 => (a, i64::MAX),
        _ => (a.min(b), a.max(b)),
    })
}

fn test() -> impl Strategy<Value = Filter> {
    let flag = proptest::sample::select(vec![Field::Answered, Field::ContactedSource, Field::Exposed, Field::Public]);
    let on = |field: Field, test: BoxedStrategy<FieldTest>| test.prop_map(move |test| Filter::Test(field, test));
    prop_oneof![
        flag.prop_map(|field| Filter::Test(field, FieldTest::Set)),
        on(Field::Remote, nets().boxed()),
        on(Field::Local, nets().boxed()),
        on(Field::Port, numbers(65_535).boxed()),
        on(Field::HopLimit, numbers(255).boxed()),
        on(Field::Count, numbers(u64::MAX).boxed()),
        on(Field::Kind, words(&["echo", "syn", "udp", "tcp-other"]).boxed()),
        on(Field::Iid, words(&["random", "low-byte"]).boxed()),
        on(Field::Device, vec(any::<String>(), 1..3).prop_map(FieldTest::Texts).boxed()),
        on(Field::Name, vec("[ -~]{0,8}", 1..3).prop_map(FieldTest::Texts).boxed()),
        on(Field::First, micros(i64::MIN).prop_map(|(a, b)| FieldTest::Times(Time(a)..=Time(b))).boxed()),
        on(Field::Lasted, micros(0).prop_map(|(a, b)| FieldTest::Spans(Span(a)..=Span(b))).boxed()),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    test().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Filter::And),
            vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back_the_same(filter in filter()) {
        let text = filter.to_string();
        if text.len() <= MAX_LENGTH {
            prop_assert_eq!(read(&text), Ok(filter), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = read(&text) {
            prop_assert!(error.column() <= text.chars().count() + 1);
            let _ = error.caret();
        }
    }

    #[test]
    fn no_sequence_of_words_panics(words in vec(proptest::sample::select(vec![
        "port", "remote", "first", "lasted", "device", "answered", "and", "or", "not", "in", "between", "(", ")", ",",
        "=", "!=", "<", ">=", "22", "1-9", "2a00::/32", "2h", "ago", "\"x\"", "'", "!", "\\", "syn",
    ]), 0..20)) {
        if let Ok(filter) = read(&words.join(" ")) {
            let _ = filter.passes(&Probe);
            prop_assert_eq!(read(&filter.to_string()), Ok(filter));
        }
    }
}
