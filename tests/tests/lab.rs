//! The lab as a newcomer runs it: `cargo xtask run --lab`. Runs as root, and for minutes.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::programs::{Bounded, end_within, tattler, tool, xtask};

/// Traffic, its end and the set-up.
const REPLAY: Duration = Duration::from_secs(240);

/// `xtask run --lab` with its output in files. Dropping it stops the lab, which then cleans up.
struct Lab {
    child: Child,
    directory: TempDir,
}

impl Lab {
    fn start(arguments: &[&str]) -> Lab {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| File::create(directory.path().join(name)).unwrap();
        let mut command = Command::new(xtask());
        command.args(["run", "--lab"]).args(arguments).env("TATTLER_BIN", tattler());
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().expect("start xtask");
        Lab { child, directory }
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Waits until it has ended, or until `enough` is true.
    fn wait(&mut self, patience: Duration, enough: impl Fn(&Lab) -> bool) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while !enough(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            assert!(Instant::now() < deadline, "not within {patience:?}: {}", self.said("stderr"));
            sleep(Duration::from_millis(50));
        }
        None
    }

    fn terminate(&self) {
        // SAFETY: kill touches no memory; the child is not reaped yet, so the process id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
    }

    /// Namespaces, directories and processes of this lab.
    fn left(&self) -> Vec<String> {
        let prefix = format!("tattler-lab-{}-", self.child.id());
        let names = |dir: &Path| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.path().display().to_string()).filter(|path| path.contains(&prefix)).collect()
        };
        let mut left = [names(Path::new("/run/netns")), names(&std::env::temp_dir())].concat();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            // The command lines of its daemons contain the lab's directory or namespace.
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if command.contains(&prefix) {
                left.push(format!("process {}: {command}", process.file_name().display()));
            }
        }
        left
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            end_within(&mut self.child, Duration::from_secs(30));
        }
        if std::thread::panicking() {
            eprintln!("the lab said:\n{}", self.said("stderr"));
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

#[test]
fn both_harvesters_are_ranked_first_and_nobody_else_is_accused() {
    let metrics = TempDir::new().unwrap();
    let metrics = metrics.path().join("metrics");
    let mut lab = Lab::start(&["--once", "--metrics", metrics.to_str().unwrap()]);
    let status = lab.wait(REPLAY, |_| false).unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(lab.left(), [""; 0]);

    let report: Value = serde_json::from_str(&lab.said("stdout")).expect("exactly one JSON document");
    println!("{}\n{}", lab.said("stderr"), lab.said("stdout"));
    assert_eq!(report["schema"], "tattler.report/1");
    let [mut harvesters, bystanders, third_parties, sweepers] =
        ["harvesters", "bystanders", "third_parties", "sweepers"].map(|key| texts(&report["lab"][key]));
    assert!(harvesters.len() == 2 && bystanders.len() > 5 && !sweepers.is_empty(), "{}", report["lab"]);
    assert!(third_parties.len() == 4 && third_parties.iter().all(|party| bystanders.contains(party)));

    let candidates = report["candidates"].as_array().expect("candidates");
    // The third parties are candidates, with too little evidence.
    for party in &third_parties {
        let is_there = |candidate: &Value| texts(&candidate["members"]).contains(party);
        assert!(candidates.iter().any(is_there), "{party} was no candidate");
    }
    path_probers_are_labelled_and_no_evidence(&report);
    let mut found = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let (rank, verdict) = (candidate["rank"].as_u64().unwrap(), candidate["verdict"].as_str().unwrap());
        assert_eq!(rank as usize, index + 1);
        let members = texts(&candidate["members"]);
        if rank <= 2 {
            assert!(["confirmed", "strong", "suspected"].contains(&verdict), "rank {rank} is {verdict}");
            assert_eq!(members.len(), 1, "{candidate}");
            found.extend(members);
            continue;
        }
        assert!(["weak", "not-identifiable"].contains(&verdict), "{candidate}");
        for member in members {
            assert!(bystanders.contains(&member), "{member} is no bystander: {candidate}");
            assert!(!sweepers.contains(&member), "a sweeper: {candidate}");
        }
    }
    found.sort_unstable();
    harvesters.sort_unstable();
    assert_eq!(found, harvesters);

    let output = tool("promtool").args(["check", "metrics"]).stdin(File::open(&metrics).unwrap()).finish().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// Checks that each campaign of a path prober is labelled, has no other sources, and is evidence against no one.
fn path_probers_are_labelled_and_no_evidence(report: &Value) {
    let probers = texts(&report["lab"]["path_probers"]);
    let mut seen = Vec::new();
    for campaign in report["campaigns"].as_array().expect("campaigns") {
        let label = campaign["label"].as_str().unwrap();
        let sources = texts(&campaign["sources"]);
        let is_theirs = sources.iter().any(|source| probers.contains(source));
        assert_eq!(label.starts_with("path probe: echo from "), is_theirs, "{campaign}");
        if is_theirs {
            assert!(sources.iter().all(|source| probers.contains(source)), "{campaign}");
            // Enough addresses in use to be evidence without the label.
            assert!(campaign["targets"].as_u64().unwrap() >= 4, "{campaign}");
            seen.extend(sources);
            for candidate in report["candidates"].as_array().unwrap() {
                assert!(!texts(&candidate["campaigns"]).contains(&campaign["id"].as_str().unwrap()), "{candidate}");
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, probers, "in order of address, each once");
}

/// The addresses of five hosts for days in 90 seconds: see `docs/lab.md`.
#[test]
fn a_home_without_leaks_has_nobody_accused() {
    // In parallel, since a lab mostly waits.
    let mut labs = ["1", "2", "3"].map(|seed| Lab::start(&["--once", "--clean", "--seed", seed]));
    for lab in &mut labs {
        let status = lab.wait(REPLAY, |_| false).unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
        assert_eq!(lab.left(), [""; 0]);
        let report: Value = serde_json::from_str(&lab.said("stdout")).expect("exactly one JSON document");
        println!("{}", lab.said("stderr"));
        assert_eq!(texts(&report["lab"]["harvesters"]), [""; 0]);
        // Many addresses were hit after many contacts, which could be misread.
        assert!(report["locals"].as_u64() >= Some(25) && report["probed_locals"].as_u64() >= Some(8), "{report}");
        let candidates = report["candidates"].as_array().expect("candidates");
        assert!(candidates.len() >= 20, "{report}");
        for candidate in candidates {
            assert!(["weak", "not-identifiable"].contains(&candidate["verdict"].as_str().unwrap()), "{candidate}");
        }
        path_probers_are_labelled_and_no_evidence(&report);
    }
}

#[test]
fn a_lab_that_is_stopped_in_the_middle_leaves_nothing_behind() {
    // While it is built, and while it runs, with and without `--once`.
    for (arguments, when, wait) in
        [(&["--once"][..], "seed", 500), (&["--once"], "s of traffic", 3_000), (&[], "ready", 3_000)]
    {
        let mut lab = Lab::start(arguments);
        let ended = lab.wait(Duration::from_secs(60), |lab| {
            lab.said("stderr").contains(when) || lab.said("stdout").contains("to look further")
        });
        assert_eq!(ended, None, "it ended by itself");
        sleep(Duration::from_millis(wait));
        assert!(!lab.left().is_empty(), "there was nothing yet");
        lab.terminate();
        let status = lab.wait(Duration::from_secs(30), |_| false).unwrap();
        assert_eq!(status.signal(), None, "it must clean up, not be killed");
        assert_eq!(lab.left(), [""; 0], "{}", lab.said("stderr"));
        let whole = if arguments.is_empty() { 0 } else { 1 };
        assert_eq!(status.code(), Some(whole), "{}", lab.said("stderr"));
        if whole == 1 {
            assert_eq!(lab.said("stdout"), "", "no partial report");
            assert!(lab.said("stderr").contains("interrupted"), "{}", lab.said("stderr"));
        }
    }
}
