//! `tattler analyze` on captures without leaks: whichever prefix is taken for home, the report must accuse nobody.

#[path = "../../tests/src/captures.rs"]
mod captures;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The two captures whose link type is not supported.
const UNSUPPORTED: [&str; 2] = ["tcpdump__OSPFv3_NBMA_adjacencies.pcap", "tcpdump__OSPFv3_multipoint_adjacencies.pcap"];

/// Number of prefixes of a capture that are tried as home: the prefixes with the most packets.
const HOMES: usize = 6;

/// Time limit for each capture, for a debug build on a busy machine. The largest capture has 9,000 packets.
const TIME: Duration = Duration::from_secs(20);

#[test]
fn no_capture_names_anybody_with_its_home_inferred() {
    let Some(directory) = captures::directory() else { return };
    let inferred = Mutex::new(0);
    each(&files(&directory), |file| {
        let output = analyze([directory.join(file)].iter(), &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.lines().count() <= 1, "{file}: {told}");
        match output.status.code() {
            Some(0) => {
                assert!(told.contains("give --home if that is wrong"), "{file}: {told}");
                names_nobody(file, &output.stdout);
                *inferred.lock().unwrap() += 1;
            }
            Some(1) => assert!(UNSUPPORTED.contains(&file.as_str()), "{file}: {told}"),
            // Most captures are from outside any home, or have only one exchange.
            Some(2) => assert!(told.contains("cannot infer the home prefix"), "{file}: {told}"),
            _ => panic!("{file}: {}: {told}", output.status),
        }
    });
    let inferred = inferred.into_inner().unwrap();
    assert!(inferred > 0, "no capture has a home to infer");
    println!("home was inferred for {inferred} captures");
}

#[test]
fn no_capture_names_anybody_whichever_end_is_home() {
    let Some(directory) = captures::directory() else { return };
    let ends = ends(&directory);
    let runs: Vec<(String, String)> =
        ends.iter().flat_map(|(file, homes)| homes.iter().map(move |home| (file.clone(), home.clone()))).collect();
    let seen = Mutex::new([0; 3]);
    each(&runs, |(file, home)| {
        let output = analyze([directory.join(file)].iter(), &["--home", home]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{file} at {home}: {}: {told}", output.status);
        let numbers = names_nobody(&format!("{file} at {home}"), &output.stdout);
        seen.lock().unwrap().iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    });
    let [locals, probes, candidates] = seen.into_inner().unwrap();
    assert!(locals > 0 && probes > 0, "{locals} locals and {probes} probes: nothing that could have named anybody");
    let (captures, homes) = (ends.len(), runs.len());
    println!("{captures} captures, {homes} homes: {locals} locals, {probes} probes, {candidates} candidates");
}

/// All captures together, as if one home had recorded them.
#[test]
fn all_captures_together_name_nobody() {
    let Some(directory) = captures::directory() else { return };
    let mut homes: BTreeMap<String, usize> = BTreeMap::new();
    ends(&directory).into_values().flatten().for_each(|home| *homes.entry(home).or_default() += 1);
    let mut homes: Vec<_> = homes.into_iter().collect();
    homes.sort_by_key(|(home, files)| (std::cmp::Reverse(*files), home.clone()));
    let files: Vec<PathBuf> = files(&directory)
        .into_iter()
        .filter(|file| !UNSUPPORTED.contains(&file.as_str()))
        .map(|file| directory.join(file))
        .collect();
    for (home, in_files) in homes.iter().take(3) {
        let output = analyze(files.iter(), &["--home", home]);
        assert!(output.status.success(), "{home}: {}", String::from_utf8_lossy(&output.stderr));
        let [locals, probes, candidates] = names_nobody(home, &output.stdout);
        println!("{home}, in {in_files} captures: {locals} locals, {probes} probes, {candidates} candidates");
    }
}

/// Asserts that a report accuses nobody. Returns the numbers of its locals, probes and candidates.
fn names_nobody(what: &str, stdout: &[u8]) -> [u64; 3] {
    let report: Value = serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(report["schema"], "tattler.report/1", "{what}");
    let candidates = report["candidates"].as_array().unwrap();
    for candidate in candidates {
        let verdict = candidate["verdict"].as_str().unwrap();
        assert!(["weak", "probes-back", "not-identifiable"].contains(&verdict), "{what}: {candidate}");
    }
    [report["locals"].as_u64().unwrap(), report["probes"].as_u64().unwrap(), candidates.len() as u64]
}

fn analyze<'a>(files: impl Iterator<Item = &'a PathBuf>, options: &[&str]) -> Output {
    // The output goes to files, because an unread pipe would fill.
    let directory = tempfile::tempdir().unwrap();
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| directory.path().join(name));
    let mut tattler = tattler();
    tattler.args(["analyze", "--format", "json", "--top", "0"]).args(options).args(files);
    tattler.stdin(Stdio::null()).stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    let deadline = Instant::now() + TIME;
    let mut child = tattler.spawn().unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{tattler:?} took longer than {TIME:?}");
            }
        }
    };
    Output { status, stdout: fs::read(stdout).unwrap(), stderr: fs::read(stderr).unwrap() }
}

/// Calls `check` for each element, on all cores.
fn each<T: Sync>(all: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(one);
                }
            });
        }
    });
}

/// The global unicast /64s with the most packets in each capture, by the parser's results.
fn ends(directory: &Path) -> BTreeMap<String, Vec<String>> {
    let files = files(directory);
    let output = tattler().arg("packets").args(files.iter().map(|file| directory.join(file))).output().unwrap();
    let mut packets: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let packet: Value = serde_json::from_str(line).unwrap();
        let file = Path::new(packet["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        for end in ["src", "dst"] {
            let Some(address) = packet[end].as_str().and_then(|end| end.parse::<Ipv6Addr>().ok()) else { continue };
            let [a, b, c, d, ..] = address.segments();
            if a >> 13 == 1 {
                let net = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
                *packets.entry(file.clone()).or_default().entry(format!("{net}/64")).or_default() += 1;
            }
        }
    }
    let busiest = |nets: BTreeMap<String, usize>| {
        let mut nets: Vec<_> = nets.into_iter().collect();
        nets.sort_by_key(|(net, packets)| (std::cmp::Reverse(*packets), net.clone()));
        nets.into_iter().take(HOMES).map(|(net, _)| net).collect()
    };
    packets.into_iter().map(|(file, nets)| (file, busiest(nets))).collect()
}

/// The file names of all captures, from the index.
fn files(directory: &Path) -> Vec<String> {
    let index = fs::read_to_string(directory.join("index.tsv")).unwrap();
    let column = index.lines().next().unwrap().split('\t').position(|column| column == "file").unwrap();
    let files: BTreeSet<_> = index.lines().skip(1).map(|line| line.split('\t').nth(column).unwrap()).collect();
    files.into_iter().map(str::to_owned).collect()
}

fn tattler() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tattler"))
}
