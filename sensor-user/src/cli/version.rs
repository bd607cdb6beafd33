//! `tattler --version --verbose`: the contents of this binary.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;

/// Whether the arguments are exactly `--version` (or `-V`) and `--verbose`, in any order.
pub(super) fn is_asked_for() -> bool {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let is_version = |argument: &OsString| argument == "--version" || argument == "-V";
    matches!(&arguments[..], [one, other] if is_version(one) && other == "--verbose" || one == "--verbose" && is_version(other))
}

/// The version, the kernel programs' hash and build tools, and the features.
pub(super) fn verbose() -> String {
    let mut text = concat!("tattler ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
    #[cfg(feature = "live")]
    {
        let object = crate::datapath::object();
        let hash = blake3::hash(object);
        let _ = writeln!(text, "kernel programs: {} bytes, BLAKE3 {hash}", object.len());
        let _ = writeln!(text, "built by: {}", env!("TATTLER_BPF_BUILT_BY"));
    }
    let features = [
        ("live", cfg!(feature = "live")),
        ("debug-log", cfg!(feature = "debug-log")),
        ("other-layout", cfg!(feature = "other-layout")),
        ("test-helpers", cfg!(feature = "test-helpers")),
    ];
    let on: Vec<&str> = features.into_iter().filter_map(|(name, is_on)| is_on.then_some(name)).collect();
    let _ = writeln!(text, "features: {}", if on.is_empty() { "none".to_owned() } else { on.join(" ") });
    text
}
