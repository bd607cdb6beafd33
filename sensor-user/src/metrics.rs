//! The sensor's metrics in the Prometheus text format.
//!
//! For each scrape the caller makes a [`MetricsSnapshot`], and [`encode`] writes it. Label values come from
//! closed sets or from the configuration (interfaces); addresses are never label values.

use std::fmt::Display;

use sensor_common::GiveUp;
use sensor_common::counters::{self, COUNTERS, Direction, Fate};
use sensor_common::wire::What;
use tattler_core::time::Time;

/// All values of a scrape.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// The program's version.
    pub version: &'static str,
    /// When the sensor started.
    pub start: Time,
    /// How often the wall clock was set since the start.
    pub clock_steps: u64,
    /// The kernel's counters by the indices of [`counters`], summed over CPUs.
    pub kernel: [u64; COUNTERS as usize],
    /// The ring between kernel and user space.
    pub ring: RingMetrics,
    /// The watched interfaces.
    pub uplinks: Vec<UplinkMetrics>,
    /// Changes of uplinks since the start, by kind, including kinds with no change.
    pub uplink_changes: Vec<(&'static str, u64)>,
    /// Number of home prefixes.
    pub home_prefixes: u64,
    /// The ledger.
    pub ledger: LedgerMetrics,
    /// Locals that answered a probe at an open port, without public ones.
    pub exposed_locals: u64,
    /// Suspects by verdict, including verdicts without a suspect, so that no series is missing.
    pub suspects: Vec<(&'static str, u64)>,
    /// Seconds by which the suspects lag behind the ledger.
    pub suspects_age: u64,
    /// The database.
    pub store: StoreMetrics,
}

/// Counts of the ring's reader.
#[derive(Clone, Copy, Debug, Default)]
pub struct RingMetrics {
    /// Events taken from it.
    pub drained: u64,
    /// Of these, invalid records.
    pub invalid: u64,
    /// Of these, events whose remote is behind NAT64, or home.
    pub set_aside: u64,
    /// Events of an earlier run that were neither stored then nor readable now.
    pub lost_between: u64,
    /// Seconds since the latest event.
    pub silent: u64,
    /// The time of the latest event.
    pub last_event: Option<Time>,
}

/// A watched interface.
#[derive(Clone, Debug)]
pub struct UplinkMetrics {
    /// Its name.
    pub interface: String,
    /// How the ingress program is attached.
    pub mode: &'static str,
    /// Whether the programs are attached and the interface is up.
    pub up: bool,
}

/// Sizes of the ledger.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LedgerMetrics {
    pub locals: u64,
    pub contacts: u64,
    pub probes: u64,
    pub campaigns: u64,
    /// Rows that left to make room, by kind.
    pub evicted: [(&'static str, u64); 4],
}

/// Counts of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreMetrics {
    /// Observations written.
    pub written: u64,
    /// Observations lost.
    pub lost: u64,
    /// Observations not yet written.
    pub queued: u64,
    /// Rows deleted by age.
    pub pruned: u64,
    /// Rows deleted because the database was full.
    pub crowded_out: u64,
    /// Probes and answers not written, because they prove nothing and their day had too many.
    pub capped: u64,
    /// Observations excluded by the configuration.
    pub excluded: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether the latest write failed or hangs.
    pub failing: bool,
    /// Failed attempts to write.
    pub failed_writes: u64,
    /// Damaged databases set aside.
    pub damaged: u64,
}

/// Encodes a snapshot.
#[must_use]
pub fn encode(snapshot: &MetricsSnapshot) -> String {
    let mut page = Page(String::new());
    page.sensor(snapshot);
    page.kernel(&snapshot.kernel);
    page.ring(&snapshot.ring);
    page.ledger(&snapshot.ledger, &snapshot.suspects);
    let help = "Locals in the window that answered a probe at an open port, public ones left out.";
    page.value("exposed_locals", help, snapshot.exposed_locals);
    let help = "Seconds by which the suspects lag behind the ledger; 0 if they are up to date.";
    page.value("suspects_age_seconds", help, snapshot.suspects_age);
    page.store(&snapshot.store);
    page.0
}

/// The page as far as it is written.
struct Page(String);

impl Page {
    fn sensor(&mut self, snapshot: &MetricsSnapshot) {
        let help = "Always 1; the version is in the label.";
        self.family("build_info", help, ["version"], &[([snapshot.version], 1)]);
        self.time("start_time_seconds", "When the sensor started, in seconds since 1970.", Some(snapshot.start));
        let help = "How often the sensor found the wall clock set, and redated the observations of this boot.";
        self.value("clock_steps_total", help, snapshot.clock_steps);
        let info: Vec<_> = snapshot.uplinks.iter().map(|u| ([u.interface.as_str(), u.mode], 1)).collect();
        let help = "Always 1; how the sensor is attached to an uplink.";
        self.family("uplink_info", help, ["interface", "mode"], &info);
        let up: Vec<_> = snapshot.uplinks.iter().map(|u| ([u.interface.as_str()], u64::from(u.up))).collect();
        self.family("uplink_up", "Whether an uplink is up and watched.", ["interface"], &up);
        let changes: Vec<_> = snapshot.uplink_changes.iter().map(|&(change, n)| ([change], n)).collect();
        self.family("uplink_changes_total", "Changes of uplinks since the start.", ["change"], &changes);
        self.value("home_prefixes", "Home prefixes.", snapshot.home_prefixes);
    }

    fn kernel(&mut self, kernel: &[u64; COUNTERS as usize]) {
        let mut fates = Vec::new();
        for what in What::ALL {
            for fate in Fate::ALL {
                fates.push(([fate.as_str(), what.as_str()], kernel[counters::fate(what, fate) as usize]));
            }
        }
        let help = "Packets that the rules matched, by fate: matched = recorded + held_back + lost.";
        self.family("events_total", help, ["fate", "what"], &fates);
        let mut reasons = Vec::new();
        for direction in Direction::ALL {
            for reason in GiveUp::COUNTED {
                if let Some(index) = counters::give_up(direction, reason) {
                    reasons.push(([direction.as_str(), reason.as_str()], kernel[index as usize]));
                }
            }
        }
        let help = "IPv6 packets that the parser gave up on.";
        self.family("give_ups_total", help, ["direction", "reason"], &reasons);
    }

    fn ring(&mut self, ring: &RingMetrics) {
        self.value("ring_events_total", "Events taken from the kernel.", ring.drained);
        self.value("ring_invalid_events_total", "Events taken from the kernel that were invalid.", ring.invalid);
        let help = "Events ignored because their remote is behind NAT64, or home.";
        self.value("ring_set_aside_events_total", help, ring.set_aside);
        let help = "Events of an earlier run of the sensor that are lost.";
        self.value("restart_lost_events_total", help, ring.lost_between);
        self.value("silence_seconds", "Seconds since the latest event, or since the start.", ring.silent);
        self.time("last_event_time_seconds", "When the latest event was seen, in seconds since 1970.", ring.last_event);
    }

    fn ledger(&mut self, ledger: &LedgerMetrics, suspects: &[(&str, u64)]) {
        self.value("ledger_locals", "Locals in the window.", ledger.locals);
        self.value("ledger_contacts", "Contacts in the window.", ledger.contacts);
        self.value("ledger_probes", "Probes in the window.", ledger.probes);
        self.value("campaigns", "Campaigns in the window.", ledger.campaigns);
        let evicted = ledger.evicted.map(|(row, n)| ([row], n));
        let help = "Rows dropped from the window to make room. Evidence: probes that prove a leak.";
        self.family("ledger_evicted_rows_total", help, ["row"], &evicted);
        let rows: Vec<_> = suspects.iter().map(|&(verdict, n)| ([verdict], n)).collect();
        self.family("suspects", "Candidates by verdict, without acknowledged ones.", ["verdict"], &rows);
    }

    fn store(&mut self, store: &StoreMetrics) {
        let results = [(["written"], store.written), (["lost"], store.lost), (["capped"], store.capped)];
        self.family("store_observations_total", "Observations for the database, by result.", ["result"], &results);
        let help = "Observations not yet written to the database.";
        self.value("store_queued_observations", help, store.queued);
        let help = "Rows deleted because they were older than the retention.";
        self.value("store_pruned_rows_total", help, store.pruned);
        let help = "Rows deleted because the database had reached its size, those that prove least first.";
        self.value("store_crowded_out_rows_total", help, store.crowded_out);
        self.value("excluded_observations_total", "Observations excluded by the configuration.", store.excluded);
        self.value("store_size_bytes", "Size of the database on disk.", store.bytes);
        let help = "Attempts to write to the database that failed.";
        self.value("store_failed_writes_total", help, store.failed_writes);
        self.value("store_damaged_databases_total", "Damaged databases that were set aside.", store.damaged);
        self.value("store_failing", "Whether the latest write failed or hangs.", store.failing.into());
    }

    fn value(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, [], &[([], value)]);
    }

    fn time(&mut self, name: &str, help: &str, time: Option<Time>) {
        let rows: Vec<_> = time.iter().map(|time| ([], time.0 as f64 / 1e6)).collect();
        self.family(name, help, [], &rows);
    }

    /// A family of series, a counter if its name ends with `_total`, else a gauge. Without rows it is left out.
    fn family<const L: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; L],
        rows: &[([&str; L], impl Display)],
    ) {
        if rows.is_empty() {
            return;
        }
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        self.0 += &format!("# HELP tattler_{name} {help}\n# TYPE tattler_{name} {kind}\n");
        for (values, value) in rows {
            let pair = |(label, value): (&str, &&str)| format!("{label}=\"{}\"", escaped(value));
            let pairs: Vec<String> = labels.into_iter().zip(values).map(pair).collect();
            let pairs = if L == 0 { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            self.0 += &format!("tattler_{name}{pairs} {value}\n");
        }
    }
}

/// A label value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn snapshot() -> MetricsSnapshot {
        let mut kernel = [0; COUNTERS as usize];
        kernel[counters::fate(What::Probe, Fate::HeldBack) as usize] = 7;
        kernel[counters::give_up(Direction::Ingress, GiveUp::TooDeep).unwrap() as usize] = 3;
        MetricsSnapshot {
            version: "0.1.0",
            start: Time(1_788_226_914_831_000),
            clock_steps: 3,
            kernel,
            exposed_locals: 3,
            ring: RingMetrics {
                drained: 12,
                invalid: 1,
                set_aside: 2,
                lost_between: 3,
                silent: 4,
                last_event: Some(Time(1_788_226_915_000_000)),
            },
            uplinks: vec![
                UplinkMetrics { interface: "wan0".into(), mode: "native", up: true },
                UplinkMetrics { interface: "odd\"\\name".into(), mode: "generic", up: false },
            ],
            uplink_changes: vec![("lost", 3), ("attached", 0)],
            home_prefixes: 2,
            ledger: LedgerMetrics {
                locals: 5,
                contacts: 6,
                probes: u64::MAX,
                campaigns: 0,
                evicted: [("local", 0), ("contact", 14), ("probe", 15), ("evidence", 16)],
            },
            suspects: vec![("strong", 1), ("weak", 0)],
            suspects_age: 8,
            store: StoreMetrics {
                written: 9,
                lost: 2,
                queued: 1,
                pruned: 4,
                crowded_out: 5,
                capped: 13,
                excluded: 6,
                bytes: 4096,
                failing: true,
                failed_writes: 12,
                damaged: 3,
            },
        }
    }

    #[test]
    fn every_value_is_under_its_name() {
        let page = encode(&snapshot());
        for line in [
            "tattler_build_info{version=\"0.1.0\"} 1",
            "tattler_start_time_seconds 1788226914.831",
            "tattler_events_total{fate=\"held_back\",what=\"probe\"} 7",
            "tattler_events_total{fate=\"lost\",what=\"contact\"} 0",
            "tattler_give_ups_total{direction=\"ingress\",reason=\"too_deep\"} 3",
            "tattler_ring_events_total 12",
            "tattler_ring_invalid_events_total 1",
            "tattler_ring_set_aside_events_total 2",
            "tattler_restart_lost_events_total 3",
            "tattler_silence_seconds 4",
            "tattler_exposed_locals 3",
            "tattler_last_event_time_seconds 1788226915",
            "tattler_uplink_info{interface=\"wan0\",mode=\"native\"} 1",
            "tattler_uplink_up{interface=\"wan0\"} 1",
            "tattler_uplink_up{interface=\"odd\\\"\\\\name\"} 0",
            "tattler_uplink_changes_total{change=\"lost\"} 3",
            "tattler_uplink_changes_total{change=\"attached\"} 0",
            "tattler_home_prefixes 2",
            "tattler_ledger_locals 5",
            "tattler_suspects{verdict=\"strong\"} 1",
            "tattler_suspects{verdict=\"weak\"} 0",
            "tattler_suspects_age_seconds 8",
            "tattler_store_observations_total{result=\"lost\"} 2",
            "tattler_store_observations_total{result=\"capped\"} 13",
            "tattler_ledger_evicted_rows_total{row=\"contact\"} 14",
            "tattler_ledger_evicted_rows_total{row=\"evidence\"} 16",
            "tattler_store_queued_observations 1",
            "tattler_store_crowded_out_rows_total 5",
            "tattler_excluded_observations_total 6",
            "tattler_store_size_bytes 4096",
            "tattler_store_failed_writes_total 12",
            "tattler_store_damaged_databases_total 3",
            "tattler_store_failing 1",
        ] {
            assert!(page.lines().any(|l| l == line), "no line {line} in\n{page}");
        }
        let fates = page.lines().filter(|l| l.starts_with("tattler_events_total{")).count();
        let reasons = page.lines().filter(|l| l.starts_with("tattler_give_ups_total{")).count();
        assert_eq!(fates + reasons, COUNTERS as usize, "each counter of the kernel appears once");
    }

    #[test]
    fn without_an_event_there_is_no_last_event() {
        let page = encode(&MetricsSnapshot { ring: RingMetrics::default(), uplinks: Vec::new(), ..snapshot() });
        assert!(!page.contains("tattler_last_event_time_seconds"));
    }

    /// Compares name, type and labels of each metric on the page with docs/metrics.md.
    #[test]
    fn the_documentation_lists_exactly_the_exported_metrics() {
        let page = encode(&snapshot());
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let mut exported: Vec<String> = types
            .map(|(name, kind)| {
                let series = page.lines().find(|line| line.starts_with(name)).unwrap();
                let labels = series.split_once('{').map_or("", |(_, rest)| rest);
                let mut labels: Vec<&str> = labels.split("\",").filter_map(|l| Some(l.split_once('=')?.0)).collect();
                labels.sort_unstable();
                format!("{name} {kind} {}", labels.join(", "))
            })
            .collect();
        let mut documented: Vec<String> = include_str!("../../docs/metrics.md")
            .lines()
            .filter(|line| line.starts_with("| `tattler_") && line.split(" | ").count() >= 3)
            .map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                let mut labels: Vec<&str> = cells[2].split(", ").filter(|label| !label.is_empty()).collect();
                labels.sort_unstable();
                format!("{} {} {}", cells[0].trim_matches('`'), cells[1], labels.join(", "))
            })
            .collect();
        exported.sort();
        documented.sort();
        assert_eq!(documented, exported);
    }

    #[test]
    fn promtool_has_no_complaint() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs promtool; it comes with the package prometheus");
        promtool.stdin.take().unwrap().write_all(encode(&snapshot()).as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
