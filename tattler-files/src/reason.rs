//! The text of a system error, for our messages.

use std::io;

/// The text of the error, in lower case and without "(os error 13)".
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
