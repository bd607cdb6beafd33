//! Child processes that do not outlive xtask: a guard ends its child by the process id.

use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A long-running child. Dropping it sends SIGTERM, waits, and kills the child if it still runs.
pub struct Daemon {
    name: String,
    child: Child,
}

impl Daemon {
    /// Starts `command` in its own process group. A Ctrl-C at the terminal therefore reaches only xtask, which ends its
    /// children once, in its own order. If this thread dies without unwinding, the child dies too.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command.process_group(0);
        die_with_parent(command);
        let child = command.spawn().with_context(|| format!("start {name}: {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The exit status if the child has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("wait for {}", self.name))
    }

    /// Waits until the child ends or `stop` returns true. None: the child still runs.
    pub fn wait(&mut self, stop: impl Fn() -> bool) -> Result<Option<ExitStatus>> {
        loop {
            let status = self.exited()?;
            if status.is_some() || stop() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails if the child has ended: it should run until xtask stops it.
    pub fn check(&mut self) -> Result<()> {
        match self.exited()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks the child to stop and returns its exit status. Kills the child after `patience`.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        // SAFETY: kill touches no memory. The child is not reaped yet, and no other thread waits for it,
        // so the process id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        if let Some(status) = self.wait(after(patience))? {
            return Ok(status);
        }
        self.child.kill().and_then(|()| self.child.wait()).with_context(|| format!("kill {}", self.name))?;
        bail!("{} did not stop within {} s", self.name, patience.as_secs());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = self.stop(Duration::from_secs(3))
        {
            eprintln!("warning: {error:#}");
        }
    }
}

/// A closure that returns true once this time has passed.
fn after(limit: Duration) -> impl Fn() -> bool {
    let deadline = Instant::now() + limit;
    move || Instant::now() > deadline
}

/// Time limit of a command. Downloads of packages take minutes; a command that takes longer than this hangs.
const OUTPUT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs a command to its end, with the standard streams of xtask. If the command fails, the error is this message.
pub fn succeed(command: &mut Command, failure: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("run {}", describe(command)))?;
    if !status.success() {
        bail!("{failure}");
    }
    Ok(())
}

/// Runs a command to its end and returns its output. If the command fails, the error is the first line of its standard
/// error.
pub fn output(command: &mut Command) -> Result<Output> {
    output_with(command, "")
}

/// Like `output`, with this text as standard input.
pub fn output_with(command: &mut Command, input: &str) -> Result<Output> {
    // Files instead of pipes: a pipe may fill up, or stay open in a child of the child.
    let [mut stdin, mut stdout, mut stderr] = [tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?];
    stdin.write_all(input.as_bytes())?;
    stdin.rewind()?;
    command.stdin(stdin).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let Some(status) = Daemon::spawn("a command", command)?.wait(after(OUTPUT_LIMIT))? else {
        bail!("{} did not end within {} s", describe(command), OUTPUT_LIMIT.as_secs());
    };
    let mut done = Output { status, stdout: Vec::new(), stderr: Vec::new() };
    for (file, text) in [(&mut stdout, &mut done.stdout), (&mut stderr, &mut done.stderr)] {
        file.rewind()?;
        file.read_to_end(text)?;
    }
    if !done.status.success() {
        let complaint = String::from_utf8_lossy(&done.stderr);
        let line = complaint.lines().map(str::trim).find(|line| !line.is_empty());
        bail!("{}: {}", describe(command), line.unwrap_or(&done.status.to_string()));
    }
    Ok(done)
}

/// Runs a command and discards its output and exit status. It is ended after `limit`, or when `stop` returns true.
pub fn run_bounded(command: &mut Command, limit: Duration, stop: impl Fn() -> bool) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_late = after(limit);
    Daemon::spawn("a command", command)?.wait(|| stop() || is_late()).map(drop)
}

/// The command line of a command, for messages.
pub fn describe(command: &Command) -> String {
    let mut line = command.get_program().display().to_string();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.display().to_string());
    }
    line
}

fn die_with_parent(command: &mut Command) {
    let die = || {
        // SAFETY: prctl with PR_SET_PDEATHSIG takes plain integers and is async-signal-safe.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(die) };
}
