//! A program that runs in the background of a test and ends with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::namespace::Namespace;
use crate::programs::end_within;

/// The time that a program gets to clean up before it is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

/// A child of the test. Dropping it ends it and, if the test failed, prints its output.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program inside; it must stay in the foreground. Its output goes to a file.
    #[track_caller]
    pub fn start(namespace: &Namespace, program: &Command, log: &Path) -> Daemon {
        let out = fs::File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let both = out.try_clone().expect("a second handle of a file");
        let mut command = namespace.command(program);
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let child = command.stdin(Stdio::null()).stdout(out).stderr(both).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Daemon { child, log: log.to_owned() }
    }

    /// Its output so far. Of an overwritten line, the last version.
    pub fn log(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// Fails with its output if it has ended.
    #[track_caller]
    pub fn must_run(&mut self) {
        let ended = self.child.try_wait().expect("wait for a child");
        assert!(ended.is_none(), "it ended, {}: {}", ended.unwrap_or_default(), self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SAFETY: kill touches no memory; the child is not reaped yet, so the process id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        end_within(&mut self.child, STOPS_WITHIN);
        if thread::panicking() {
            eprintln!("{} said:\n{}", self.log.display(), self.log());
        }
    }
}
