//! Reads files of nfcapd and nfpcapd with nfdump, which knows all versions of the format.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::ReadError;
use super::text::nfdump::COLUMNS;

/// The columns of `-o csv`, with milliseconds. `-o csv` leaves out milliseconds.
const FORMAT: &str = "fmt:%ts,%te,%pr,%sa,%sp,%da,%dp,%flg";

/// Starts nfdump on a file. Times are in UTC.
///
/// # Errors
/// nfdump can't be started.
pub(super) fn open(name: &str, path: &Path) -> Result<impl Read + use<>, ReadError> {
    let fail = |reason: String| ReadError::Nfcapd { name: name.to_owned(), reason };
    let mut child = Command::new("nfdump")
        .arg("-r")
        .arg(path)
        // These options give full addresses, full numbers, and no totals.
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

/// The output of nfdump. If nfdump fails, the output ends with an error.
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
        // nfdump may have ended already, and no caller is left for an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
