//! The sensor: started on the home router's uplink, and queried for its findings.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Daemon};
use crate::signals;

use super::netns::{Inside, Namespace};
use super::plan;

/// In the router's namespace, so that two labs don't meet.
const LISTEN: &str = "[::1]:9646";

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

pub struct Sensor {
    daemon: Daemon,
    tattler: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    inside: Inside,
}

impl Sensor {
    /// Starts it and waits until it says that it is attached. Its messages go to a log, and to
    /// standard error as well if `echo`: a table that is redrawn leaves no place for them.
    pub fn start(tattler: &Path, router: &Namespace, dir: &Path, echo: bool) -> Result<Self> {
        let state = dir.join("state");
        let socket = state.join("tattler.sock");
        let log = dir.join("tattler.log");
        let inside = router.inside();
        let mut command = inside.command_at(tattler)?;
        command.args(["run", "--interface", plan::UPLINK, "--listen", LISTEN]);
        command.arg("--state").arg(&state).arg("--socket").arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = Daemon::spawn("tattler", &mut command)?;

        let messages = daemon.child().stderr.take().context("read tattler's messages")?;
        let mut copy = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(messages).lines().map_while(Result::ok) {
                // A log that can't be written must not stop the sensor's messages from flowing.
                let _ = writeln!(copy, "{line}");
                if echo {
                    eprintln!("tattler: {line}");
                }
                if line.contains("ready") {
                    // The second one has no listener.
                    let _ = ready.send(());
                }
            }
        });
        let mut sensor = Self { daemon, tattler: tattler.to_owned(), socket, log, inside };
        sensor.wait_until(&is_ready)?;
        Ok(sensor)
    }

    fn wait_until(&mut self, ready: &mpsc::Receiver<()>) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match ready.recv_timeout(Duration::from_millis(50)) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(50)),
            }
            self.check()?;
            if signals::stopped() {
                bail!("interrupted while the sensor started");
            }
            if Instant::now() > deadline {
                bail!("tattler was not ready within {} s", READY_WITHIN.as_secs());
            }
        }
    }

    /// Fails with its last message if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.daemon.exited()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let last = log.lines().last().unwrap_or("it said nothing");
            bail!("tattler ended with {status}: {last}");
        }
        Ok(())
    }

    /// All suspects, as JSON.
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
        std::fs::write(path, metrics.stdout).with_context(|| format!("write {}", path.display()))
    }

    /// Asks it to stop; it must do so in order, with nothing left attached.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.stop(STOPPED_WITHIN)?;
        if !status.success() {
            bail!("tattler did not stop in order: {status}");
        }
        Ok(())
    }

    /// Command lines for a closer look, with their purpose.
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
