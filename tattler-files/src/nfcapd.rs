//! Files of nfcapd and nfpcapd, read by nfdump: the format changes with its versions, and nfdump knows
//! them all.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::ReadError;
use super::text::nfdump::COLUMNS;

/// The same columns, with milliseconds, which `-o csv` leaves out.
const FORMAT: &str = "fmt:%ts,%te,%pr,%sa,%sp,%da,%dp,%flg";

/// Starts nfdump on a file; times are in UTC.
///
/// # Errors
/// It is not installed.
pub(super) fn open(name: &str, path: &Path) -> Result<impl Read + use<>, ReadError> {
    let fail = |reason: String| ReadError::Nfcapd { name: name.to_owned(), reason };
    let mut child = Command::new("nfdump")
        .arg("-r")
        .arg(path)
        // Addresses in full, numbers in full, no totals.
        .args(["-6", "-N", "-q", "-o", FORMAT, "ipv6"])
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => fail("install nfdump".into()),
            _ => fail(format!("{error}: check that nfdump runs")),
        })?;
    let output = child.stdout.take().ok_or_else(|| fail("it has no output".into()))?;
    Ok(Cursor::new(format!("{COLUMNS}\n")).chain(Output { child, output }))
}

/// What it prints, and whether it ended well.
struct Output {
    child: Child,
    output: ChildStdout,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.output.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("nfdump ended with {status}")));
            }
        }
        Ok(read)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
