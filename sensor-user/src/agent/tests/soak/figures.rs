//! What is measured at the end of each day, and what flat means.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The window is 30 days, retention 38, and what is older than a retention is deleted within the hour.
const FULL: usize = 40;
/// Days of which one figure is made, at both ends of the time that is compared: for as long a prefix is
/// given, and what is asked takes a little more or less with where in that the window ends.
const DAYS: usize = 11;

/// A day's.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub events: u64,
    /// Bytes that are resident, and that are allocated.
    pub resident: u64,
    pub heap: u64,
    /// Bytes of the database, and of its log.
    pub database: u64,
    pub log: u64,
    /// Bytes that rows take on disk, in the database or in its log: what goes over from the one to the other
    /// does so every ten days or so in a small home.
    pub used: u64,
    /// Rows and names in the ledger.
    pub locals: u64,
    pub contacts: u64,
    pub probes: u64,
    pub addresses: u64,
    pub devices: u64,
    /// Observations that waited for the store, at most.
    pub queued: u64,
    /// The longest turn of the loop: the one with the pruning, in which the ledger is held.
    pub turn: Duration,
    /// The longest that a copy for the suspects holds the ledger.
    pub copy: Duration,
    /// Comparisons that the suspects took, since the start.
    pub compared: u64,
    /// Answers, by [`QUESTIONS`]; the median if there were several.
    pub answers: [Duration; QUESTIONS.len()],
}

/// What is asked at the end of a day: of memory, and then of the disk; `disk` is for the suspects.
pub const QUESTIONS: [&str; 6] = ["suspects", "contacts", "probes", "locals", "scanners", "disk"];

impl Figures {
    /// What the system says of this process, and of the files in a directory.
    pub fn look(&mut self, dir: &Path) {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")).unwrap();
        self.resident = resident.trim().parse::<u64>().unwrap() << 10;
        self.heap = allocated();
        let size = |file: &str| fs::metadata(dir.join(file)).map_or(0, |file| file.len());
        (self.database, self.log) = (size("tattler.db"), size("tattler.db-wal"));
    }
}

/// Bytes that this process has allocated and not given back.
pub fn allocated() -> u64 {
    // SAFETY: it takes nothing and returns plain numbers.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// The names of the columns.
pub struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| day | events | resident MB | heap MB | db MB | log MB | locals | contacts | probes | addresses ")?;
        write!(f, "| devices | queue | turn ms | copy ms | compared |")?;
        QUESTIONS.iter().try_for_each(|question| write!(f, " {question} ms |"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "{} | {:.1} | {:.1} | ", self.events, mb(self.resident), mb(self.heap))?;
        write!(f, "{:.1} | {:.1} | ", mb(self.database), mb(self.log))?;
        write!(f, "{} | {} | {} | {} | ", self.locals, self.contacts, self.probes, self.addresses)?;
        write!(
            f,
            "{} | {} | {:.1} | {:.1} | {} |",
            self.devices,
            self.queued,
            ms(self.turn),
            ms(self.copy),
            self.compared
        )?;
        self.answers.iter().try_for_each(|&answer| write!(f, " {:.1} |", ms(answer)))
    }
}

/// How much of something may be added from the first days with a full window to the last: a share, and
/// what a small home's granularity makes of it.
#[derive(Clone, Copy)]
pub struct Most {
    pub share: f64,
    pub slack: f64,
}

/// Whether a day is among those that are compared.
pub fn is_compared(day: usize, days: usize) -> bool {
    (FULL..FULL + DAYS).contains(&day) || day + DAYS >= days
}

/// A line for what grew by more than it may; `None` if it is flat.
pub fn growth(name: &str, days: &[Figures], most: Most, figure: impl Fn(&Figures) -> f64) -> Option<String> {
    let median = |days: &[Figures]| {
        let mut all: Vec<f64> = days.iter().map(&figure).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (first, last) = (median(&days[FULL..FULL + DAYS]), median(&days[days.len() - DAYS..]));
    println!(
        "{name}: {first:.1} on days {FULL} to {}, {last:.1} at the end: {:+.1} %",
        FULL + DAYS - 1,
        (last / first - 1.0) * 100.0
    );
    (last > first * (1.0 + most.share) + most.slack)
        .then(|| format!("{name} grows: {first:.1} once the window is full, {last:.1} at the end"))
}

/// The median; nothing of nothing.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What some work comes to, and the time of a CPU that it takes. Other work on the machine makes it
/// wait, often for longer than it takes; that is not ours.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = on_cpu();
    let done = work();
    (done, on_cpu() - start)
}

fn on_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing, and each thread has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn what_grows_by_a_tenth_is_told_and_what_varies_is_not() {
    let days = |of: fn(usize) -> u64| (0..62).map(|day| Figures { heap: of(day), ..Figures::default() }).collect();
    let (flat, growing): (Vec<_>, Vec<_>) =
        (days(|day| 1_000 + (day as u64 * 37) % 40), days(|day| 1_000 + 8 * day as u64));
    let most = Most { share: 0.05, slack: 0.0 };
    assert_eq!(growth("heap", &flat, most, |day| day.heap as f64), None);
    assert!(growth("heap", &growing, most, |day| day.heap as f64).is_some());
}
