//! Finding and running the binaries under test and the tools.

use std::env;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::patiently;

/// Seconds. The programs of tests take much less.
const ENDS_WITHIN: u64 = 60;

/// The tattler binary: TATTLER_BIN, else that of the debug build.
pub fn tattler() -> PathBuf {
    binary("TATTLER_BIN", "tattler")
}

/// The tattler binary of a version with another record layout: TATTLER_OTHER_BIN, else that of
/// the debug build.
pub fn other_tattler() -> PathBuf {
    binary("TATTLER_OTHER_BIN", "tattler-other-layout")
}

/// The xtask binary: XTASK_BIN, else that of the debug build.
pub fn xtask() -> PathBuf {
    binary("XTASK_BIN", "xtask")
}

fn binary(variable: &str, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug").join(name);
    let path = env::var_os(variable).map_or(target, PathBuf::from);
    assert!(path.is_file(), "there is no {}: run the tests by `cargo xtask test`", path.display());
    path
}

/// A tool without standard input. Under `cargo xtask test`, PATH has only the listed programs.
pub fn tool(name: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    let mut command = Command::new(found.unwrap_or_else(|| {
        panic!("no {name} on PATH: run `cargo xtask test`, which installs the programs of xtask/src/setup/programs.rs")
    }));
    command.stdin(Stdio::null());
    command
}

/// Waits for programs with a time limit. clippy.toml forbids the methods that may wait for ever.
pub trait Bounded {
    /// Collects exit status and output like `Command::output`, and leaves the standard input as it was set. A program
    /// that runs for more than a minute is killed, which is an error.
    fn finish(&mut self) -> io::Result<Output>;
}

impl Bounded for Command {
    fn finish(&mut self) -> io::Result<Output> {
        // Into files: a pipe may fill up, or stay open in a child of the child.
        let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut child = self.stdout(out.try_clone()?).stderr(err.try_clone()?).spawn()?;
        let status = end_within(&mut child, patiently(ENDS_WITHIN));
        let [stdout, stderr] = [&mut out, &mut err].map(|file| {
            let mut text = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut text)).map(|_| text)
        });
        let (stdout, stderr) = (stdout?, stderr?);
        let Some(status) = status else {
            let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
            return Err(io::Error::new(ErrorKind::TimedOut, format!("killed after {ENDS_WITHIN} s: {said}")));
        };
        Ok(Output { status, stdout, stderr })
    }
}

/// Bytes as a program's standard input. In a file, since a pipe may be full.
pub fn input(bytes: &[u8]) -> Stdio {
    let mut file = tempfile::tempfile().expect("make a temporary file");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("write a temporary file");
    file.into()
}

/// Waits for a child to end. After `limit` it is killed, and there is no status.
pub fn end_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status);
        }
        sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    #[expect(clippy::disallowed_methods, reason = "SIGKILL has just ended it")]
    let _ = child.wait();
    None
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.finish().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}
