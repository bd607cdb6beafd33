//! How an error of the system reads inside a message of ours.

use std::io;

/// Without "(os error 13)", and in lower case as the rest of the line.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
