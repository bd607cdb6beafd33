//! One guest, from boot to end. QEMU emulates the machine, so that the host needs no hardware support.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::image::Image;
use super::qemu::Qemu;
use crate::process::Daemon;
use crate::signals;

/// Time limit of a guest. On an idle machine it takes about a minute.
const LIMIT: Duration = Duration::from_secs(240);
/// Boots until one comes up. QEMU 7.2 emulated boots of 6.12 wrongly now and then; the processor chosen below should
/// prevent that. A later failure is never retried.
const BOOTS: usize = 5;
/// A guest that has not printed its kernel's release by then hangs.
const COMES_UP: Duration = Duration::from_secs(40);

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub check: String,
    pub ok: bool,
    pub took: Duration,
    pub message: String,
}

/// The results of a guest.
#[derive(Default)]
pub struct Results {
    /// The kernel's release.
    pub release: Option<String>,
    pub outcomes: Vec<Outcome>,
    /// The guest ran all checks to the end.
    pub ended: bool,
    pub took: Duration,
}

/// Runs checks in a guest and writes its console to a file.
pub fn run(qemu: &Qemu, image: &Image, initramfs: &Path, checks: &[&str], console: &Path) -> Result<Results> {
    let _ = fs::remove_file(console);
    let mut results = boot(qemu, image, initramfs, checks, console)?;
    for _ in 1..BOOTS {
        if results.release.is_some() || signals::stopped() {
            break;
        }
        eprintln!("{} did not come up; starting it again, see {}", image.vmlinuz.display(), console.display());
        results = boot(qemu, image, initramfs, checks, console)?;
    }
    Ok(results)
}

fn boot(qemu: &Qemu, image: &Image, initramfs: &Path, checks: &[&str], console: &Path) -> Result<Results> {
    // After the output of earlier boots.
    let log = File::options().create(true).append(true).open(console);
    let log = log.with_context(|| format!("write {}", console.display()))?;
    let earlier = log.metadata()?.len() as usize;
    // The kernel passes what follows `--` to the first process.
    let line = format!("console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off -- {}", checks.join(" "));
    let mut command = qemu.command();
    // After CMPXCHG16B, by which kernels from 6.5 allocate memory, QEMU 7.2 leaves wrong flags: kernels fault now and
    // then, at boot or later. Without it in the processor they do not use it.
    // Two processors, in turns on one of our threads, so that several guests can run at once.
    command.args(["-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max,-cx16", "-smp", "2", "-m", "1024"]);
    // Only a console, and no network: a guest's packets stay inside.
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-nic", "none"]);
    // A panic of the kernel reboots the machine, which ends QEMU.
    command.arg("-no-reboot");
    command.arg("-kernel").arg(&image.vmlinuz).arg("-initrd").arg(initramfs).arg("-append").arg(line);
    let started = Instant::now();
    let mut machine = Daemon::spawn("qemu", command.stdin(Stdio::null()).stdout(log).stderr(Stdio::inherit()))?;
    loop {
        let has_ended = machine.exited()?.is_some();
        let bytes = fs::read(console).with_context(|| format!("read {}", console.display()))?;
        let mut results = Results::read(&String::from_utf8_lossy(bytes.get(earlier..).unwrap_or_default()));
        results.took = started.elapsed();
        let limit = if results.release.is_some() { LIMIT } else { COMES_UP };
        if has_ended || results.took > limit || signals::stopped() {
            return Ok(results);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

impl Results {
    /// Reads a console. The kernel may have begun a line before the guest goes on with it.
    fn read(console: &str) -> Results {
        let mut results = Results::default();
        for (_, line) in console.lines().filter_map(|line| line.trim_end().split_once("guest: ")) {
            if line == "end" {
                results.ended = true;
            } else if let Some(release) = line.strip_prefix("linux ") {
                results.release = Some(release.to_owned());
            } else {
                results.outcomes.extend(outcome(line));
            }
        }
        results
    }
}

/// Reads `NAME ok|failed MILLISECONDS MESSAGE`.
fn outcome(line: &str) -> Option<Outcome> {
    let mut words = line.splitn(4, ' ');
    let check = words.next()?.to_owned();
    let ok = match words.next()? {
        "ok" => true,
        "failed" => false,
        _ => return None,
    };
    let took = Duration::from_millis(words.next()?.parse().ok()?);
    Some(Outcome { check, ok, took, message: words.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_has_the_release_the_checks_and_the_end() {
        let results = Results::read(
            "[    1.0] clocksource: tsc\r\n\
             guest: linux 6.1.0-50-amd64\r\n\
             guest: veth ok 2150 native; probe seen\r\n\
             [    4.2] guest: sit failed 31 not within 10 seconds\r\n\
             guest: end\r\n",
        );
        assert_eq!(results.release.as_deref(), Some("6.1.0-50-amd64"));
        let of = |check: &str, ok, took, message: &str| Outcome {
            check: check.to_owned(),
            ok,
            took: Duration::from_millis(took),
            message: message.to_owned(),
        };
        let expected = [of("veth", true, 2_150, "native; probe seen"), of("sit", false, 31, "not within 10 seconds")];
        assert_eq!(results.outcomes, expected);
        assert!(results.ended);
    }

    #[test]
    fn other_lines_are_no_outcomes() {
        let results =
            Results::read("guest: veth\nguest: veth ok\nguest: veth maybe 3 x\nguest: veth ok soon\nKernel panic");
        assert_eq!(results.outcomes, []);
        assert!(!results.ended);
    }
}
