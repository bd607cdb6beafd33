//! Child processes that do not outlive us: ended by their own id when their guard is dropped.

use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A long-running child. Dropping it asks it to stop, waits, and then insists.
pub struct Daemon {
    name: String,
    child: Child,
}

impl Daemon {
    /// Starts `command` in a process group of its own: a Ctrl-C at the terminal then reaches it
    /// through us, once, and in our order. If this thread dies without unwinding, so does the child.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command.process_group(0);
        die_with_parent(command);
        let child = command.spawn().with_context(|| format!("start {name}: {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status if the child has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("wait for {}", self.name))
    }

    /// Fails if the child has ended: it was to run until we stop it.
    pub fn check(&mut self) -> Result<()> {
        match self.exited()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks the child to stop and gives its exit status; insists after `patience`.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        let deadline = Instant::now() + patience;
        self.signal(libc::SIGTERM);
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.child.kill().with_context(|| format!("kill {}", self.name))?;
                self.child.wait()?;
                bail!("{} did not stop within {} s", self.name, patience.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill touches no memory. The id is still our child's: `stop` has just seen that it
        // is not reaped, and no other thread waits for it.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
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

/// Downloads of packages take minutes; a command that takes longer than this hangs.
const OUTPUT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs a command to its end and returns its output; fails with its first line of standard error.
pub fn output(command: &mut Command) -> Result<Output> {
    output_with(command, "")
}

/// The same, with this text as standard input.
pub fn output_with(command: &mut Command, input: &str) -> Result<Output> {
    let name = command.get_program().display().to_string();
    // Files, since a pipe may fill up, or stay open in a child of the child.
    let [mut stdin, mut stdout, mut stderr] = [tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?];
    stdin.write_all(input.as_bytes())?;
    stdin.rewind()?;
    let mut child = command
        .stdin(stdin)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("run {name}"))?;
    let deadline = Instant::now() + OUTPUT_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("wait for {name}"))? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).with_context(|| format!("kill {name}"))?;
            bail!("{} did not end within {} s", describe(command), OUTPUT_LIMIT.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
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

/// Runs a short-lived command without its output; it is ended after `limit` or when `stop` says so.
/// None: it was killed.
pub fn run_bounded(command: &mut Command, limit: Duration, stop: &dyn Fn() -> bool) -> Result<Option<ExitStatus>> {
    let name = command.get_program().display().to_string();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = Daemon::spawn(&name, command)?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = daemon.exited()? {
            return Ok(Some(status));
        }
        if stop() || Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The command line, for messages.
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
