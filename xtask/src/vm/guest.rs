//! One guest, from its start to its last word. QEMU emulates the machine, so that no host is asked for
//! hardware support.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::image::Image;
use super::qemu::Qemu;
use crate::process::Daemon;
use crate::signals;

/// Guests are ended after that. They take a minute or so on a machine with little else to do.
const LIMIT: Duration = Duration::from_secs(240);
/// Machines that are started until one comes up. QEMU 7.2 emulated boots of 6.12 wrongly now and then; with
/// the processor as it is below the cause should be gone. A later failure is never retried.
const BOOTS: usize = 5;
/// A machine that says nothing of its kernel by then hangs.
const COMES_UP: Duration = Duration::from_secs(40);

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub check: String,
    pub ok: bool,
    pub took: Duration,
    /// Its message.
    pub said: String,
}

/// The results of a guest.
pub struct Told {
    /// The kernel's release.
    pub release: Option<String>,
    pub outcomes: Vec<Outcome>,
    /// The guest went through to its end.
    pub ended: bool,
    pub took: Duration,
}

/// Runs checks in a guest and writes its console to a file.
pub fn run(qemu: &Qemu, image: &Image, initramfs: &Path, checks: &[&str], console: &Path) -> Result<Told> {
    let _ = fs::remove_file(console);
    let mut told = boot(qemu, image, initramfs, checks, console)?;
    for _ in 1..BOOTS {
        if told.release.is_some() || signals::stopped() {
            break;
        }
        eprintln!("{} did not come up and is started again: {}", image.vmlinuz.display(), console.display());
        told = boot(qemu, image, initramfs, checks, console)?;
    }
    Ok(told)
}

fn boot(qemu: &Qemu, image: &Image, initramfs: &Path, checks: &[&str], console: &Path) -> Result<Told> {
    // After the output of an earlier boot.
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(console)
        .with_context(|| format!("write {}", console.display()))?;
    // From `--` on it is for the first process.
    let line = format!("console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off -- {}", checks.join(" "));
    let mut command = qemu.command();
    // QEMU 7.2 leaves wrong flags after CMPXCHG16B, by which kernels from 6.5 allocate memory: they fault now and
    // then, at the boot or later. A processor without it makes them do otherwise.
    // Two processors, in turns on one thread of ours, so that several guests have room.
    command.args(["-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max,-cx16", "-smp", "2", "-m", "1024"]);
    // Only a console, and no network: a guest's packets stay inside.
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-nic", "none"]);
    // A panic of the kernel reboots the machine, which ends QEMU.
    command.arg("-no-reboot");
    command.arg("-kernel").arg(&image.vmlinuz).arg("-initrd").arg(initramfs).arg("-append").arg(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let started = Instant::now();
    let mut machine = Daemon::spawn("qemu", &mut command)?;
    let lines = lines(machine.child().stdout.take().context("the console of a guest")?);
    let mut told = Told { release: None, outcomes: Vec::new(), ended: false, took: Duration::ZERO };
    while started.elapsed() < if told.release.is_some() { LIMIT } else { COMES_UP } && !signals::stopped() {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => {
                writeln!(log, "{line}").with_context(|| format!("write {}", console.display()))?;
                told.take(&line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    told.took = started.elapsed();
    Ok(told)
}

/// Reads a console on a thread of its own, since a read has no deadline.
fn lines(console: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

impl Told {
    fn take(&mut self, line: &str) {
        // The kernel may have begun the line.
        let Some((_, said)) = line.split_once("guest: ") else { return };
        if said == "end" {
            self.ended = true;
        } else if let Some(release) = said.strip_prefix("linux ") {
            self.release = Some(release.to_owned());
        } else {
            self.outcomes.extend(outcome(said));
        }
    }
}

/// Reads `NAME ok|failed MILLISECONDS WHAT`.
fn outcome(said: &str) -> Option<Outcome> {
    let mut words = said.splitn(4, ' ');
    let check = words.next()?.to_owned();
    let ok = match words.next()? {
        "ok" => true,
        "failed" => false,
        _ => return None,
    };
    let took = Duration::from_millis(words.next()?.parse().ok()?);
    Some(Outcome { check, ok, took, said: words.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(console: &[&str]) -> Told {
        let mut told = Told { release: None, outcomes: Vec::new(), ended: false, took: Duration::ZERO };
        console.iter().for_each(|line| told.take(line));
        told
    }

    #[test]
    fn a_console_tells_the_release_the_checks_and_the_end() {
        let told = told(&[
            "[    1.0] clocksource: tsc",
            "guest: linux 6.1.0-50-amd64",
            "guest: veth ok 2150 native; probe seen",
            "[    4.2] guest: sit failed 31 not within 10 seconds",
            "guest: end",
        ]);
        assert_eq!(told.release.as_deref(), Some("6.1.0-50-amd64"));
        let of = |check: &str, ok, took, said: &str| Outcome {
            check: check.to_owned(),
            ok,
            took: Duration::from_millis(took),
            said: said.to_owned(),
        };
        let expected = [of("veth", true, 2_150, "native; probe seen"), of("sit", false, 31, "not within 10 seconds")];
        assert_eq!(told.outcomes, expected);
        assert!(told.ended);
    }

    #[test]
    fn what_is_no_outcome_is_none() {
        assert_eq!(
            told(&["guest: veth", "guest: veth ok", "guest: veth maybe 3 x", "guest: veth ok soon"]).outcomes,
            []
        );
        assert!(!told(&["Kernel panic - not syncing"]).ended);
    }
}
