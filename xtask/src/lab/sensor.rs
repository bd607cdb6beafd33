//! The lab's sensor, which watches the home router's uplink and answers queries.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Daemon};
use crate::signals;

use super::netns::{Inside, Namespace};
use super::plan;

/// Address of the metrics. Each lab has its own router namespace, so that two labs do not conflict.
const LISTEN: &str = "[::1]:9646";

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

pub struct Sensor {
    daemon: Daemon,
    tattler: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    /// Number of bytes of the log that were repeated on standard error. None: the log is not repeated.
    repeated: Option<usize>,
    inside: Inside,
}

impl Sensor {
    /// Starts the sensor and waits until it is attached. The log goes to a file and, with `echo`, to standard error. An
    /// endless lab redraws its table, so it uses no `echo`.
    pub fn start(tattler: &Path, router: &Namespace, dir: &Path, echo: bool) -> Result<Self> {
        let state = dir.join("state");
        let (socket, log) = (state.join("tattler.sock"), dir.join("tattler.log"));
        let inside = router.inside();
        let mut command = inside.command_at(tattler)?;
        command.args(["run", "--interface", plan::UPLINK, "--listen", LISTEN]);
        command.arg("--state").arg(&state).arg("--socket").arg(&socket);
        let file = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let daemon = Daemon::spawn("tattler", command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file))?;
        let repeated = echo.then_some(0);
        let mut sensor = Self { daemon, tattler: tattler.to_owned(), socket, log, repeated, inside };
        let deadline = Instant::now() + READY_WITHIN;
        while !sensor.read_log().contains(" ready\n") {
            sensor.check()?;
            if signals::stopped() {
                bail!("interrupted while the sensor started");
            }
            if Instant::now() > deadline {
                bail!("tattler was not ready within {} s", READY_WITHIN.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(sensor)
    }

    /// Reads the whole log so far. Repeats new lines on standard error.
    fn read_log(&mut self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        if let Some(repeated) = &mut self.repeated {
            let whole = log.rfind('\n').map_or(0, |at| at + 1);
            log[*repeated..whole].lines().for_each(|line| eprintln!("tattler: {line}"));
            *repeated = whole;
        }
        log
    }

    /// Fails with the last line of the log if the sensor has ended.
    pub fn check(&mut self) -> Result<()> {
        let status = self.daemon.exited()?;
        let log = self.read_log();
        match status {
            Some(status) => bail!("tattler ended with {status}: {}", log.lines().last().unwrap_or("without a message")),
            None => Ok(()),
        }
    }

    /// All suspects that the sensor reports, as JSON.
    pub fn report(&self) -> Result<Value> {
        let found = process::output(self.query("suspects").args(["--format", "json", "--top", "0"]))?;
        serde_json::from_slice(&found.stdout).context("read the report of `tattler suspects`")
    }

    pub fn suspects_table(&self) -> Result<String> {
        let found = process::output(self.query("suspects").args(["--format", "table", "--top", "8"]))?;
        Ok(String::from_utf8_lossy(&found.stdout).into_owned())
    }

    pub fn save_metrics(&self, path: &Path) -> Result<()> {
        let mut curl = self.inside.command("curl")?;
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
        let metrics = process::output(curl.arg(format!("http://{LISTEN}/metrics")))?;
        fs::write(path, metrics.stdout).with_context(|| format!("write {}", path.display()))
    }

    /// Asks the sensor to stop. It must exit with status 0, which means that no program is left attached.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.stop(STOPPED_WITHIN)?;
        self.read_log();
        if !status.success() {
            bail!("tattler failed while it stopped: {status}");
        }
        Ok(())
    }

    /// Command lines with which a user can examine the sensor, and the purpose of each.
    pub fn further(&self) -> Vec<(String, &'static str)> {
        let tattler = self.tattler.display();
        let socket = self.socket.display();
        vec![
            (format!("{tattler} explain REMOTE --socket {socket}"), "the evidence in order of time"),
            (format!("{tattler} status --socket {socket}"), "what the sensor has seen and lost"),
            (format!("{} curl http://{LISTEN}/metrics", self.inside.enter()), "the same for Prometheus"),
            (format!("less {}", self.log.display()), "the sensor's messages"),
        ]
    }

    fn query(&self, what: &str) -> Command {
        let mut query = Command::new(&self.tattler);
        query.arg(what).arg("--socket").arg(&self.socket);
        query
    }
}
