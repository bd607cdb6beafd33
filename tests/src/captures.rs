//! The directory of captures from elsewhere, which are not part of the project. Without them, the tests that need them
//! are skipped, but fail on CI.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory that TATTLER_CAPTURES names, else `shared/captures` next to the project. None, with a message, if it
/// has no captures. Panics then if it was named, and on CI.
pub fn directory() -> Option<PathBuf> {
    let named = std::env::var_os("TATTLER_CAPTURES").map(PathBuf::from);
    let is_named = named.is_some();
    let directory = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"));
    if directory.join("truth.jsonl").is_file() && directory.join("index.tsv").is_file() {
        return Some(directory);
    }
    let missing = format!("no captures in {}: name their directory with TATTLER_CAPTURES", directory.display());
    assert!(!is_named && std::env::var_os("CI").is_none(), "{missing}");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not by a macro: the test runner shows the output of macros for failed tests only.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {missing}");
    None
}
