//! What the sensor says of itself, in the Prometheus text format.
//!
//! A scrape pulls: the caller takes a [`Snapshot`], [`encode`] writes it down. Labels come from
//! closed sets or from the configuration (interfaces); an address is never one.

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use sensor_common::GiveUp;
use sensor_common::counters::{self, COUNTERS, Direction, Fate};
use sensor_common::wire::What;
use tattler_core::time::Time;

/// All that a scrape tells.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version of this program.
    pub version: &'static str,
    /// When the sensor started.
    pub start: Time,
    /// How often the wall clock was set since then.
    pub clock_steps: u64,
    /// The kernel's counters, by the indices of [`counters`], summed over processors.
    pub kernel: [u64; COUNTERS as usize],
    /// The ring between kernel and user space.
    pub ring: Ring,
    /// The interfaces that are watched.
    pub uplinks: Vec<Uplink>,
    /// What became of the uplinks since the start, by the kind of change; kinds that did not happen too.
    pub uplink_changes: Vec<(&'static str, u64)>,
    /// Prefixes that are taken as home.
    pub home_prefixes: u64,
    /// The window in memory.
    pub ledger: Ledger,
    /// Locals that answered a probe at an open port; public ones are left out.
    pub exposed_locals: u64,
    /// Suspects by verdict; verdicts without a suspect belong here too, so that no series is missing.
    pub suspects: Vec<(&'static str, u64)>,
    /// Seconds by which they are behind the ledger.
    pub suspects_age: u64,
    /// The database.
    pub store: Store,
}

/// The ring, as the reader knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring {
    /// Events taken from it.
    pub drained: u64,
    /// Of these, records that were no valid event.
    pub invalid: u64,
    /// Of these, events whose remote was none: behind NAT64, or home.
    pub set_aside: u64,
    /// Events of an earlier life of the sensor that neither it wrote nor this one could read.
    pub lost_between: u64,
    /// Seconds since something was seen.
    pub silent: u64,
    /// When the latest event was seen.
    pub last_event: Option<Time>,
}

/// An interface that is watched.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// Its name.
    pub interface: String,
    /// How the ingress program is attached.
    pub mode: &'static str,
    /// Whether the programs are attached and the interface is up.
    pub up: bool,
}

/// Sizes of the ledger.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct Ledger {
    pub locals: u64,
    pub contacts: u64,
    pub probes: u64,
    pub campaigns: u64,
}

/// What became of the observations for the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store {
    /// Written.
    pub written: u64,
    /// Given up.
    pub lost: u64,
    /// Not yet written.
    pub queued: u64,
    /// Rows deleted by age.
    pub pruned: u64,
    /// Rows deleted because there were too many.
    pub crowded_out: u64,
    /// Observations that the configuration keeps from being recorded.
    pub excluded: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether the latest write failed, or does not end.
    pub failing: bool,
    /// Attempts to write that failed.
    pub failed_writes: u64,
    /// Databases that were damaged and set aside.
    pub damaged: u64,
}

/// Writes a snapshot down.
pub fn encode(snapshot: &Snapshot) -> Result<String, prometheus::Error> {
    let page = Page { registry: Registry::new() };
    page.sensor(snapshot)?;
    page.kernel(&snapshot.kernel)?;
    page.ring(&snapshot.ring)?;
    page.ledger(&snapshot.ledger, &snapshot.suspects)?;
    let help = "Locals in the window that answered a probe at an open port, public ones left out.";
    page.gauge("exposed_locals", help, [], &[([], snapshot.exposed_locals)])?;
    let help = "Seconds by which the suspects shown are behind the ledger; 0 if nothing has come since.";
    page.gauge("suspects_age_seconds", help, [], &[([], snapshot.suspects_age)])?;
    page.store(&snapshot.store)?;
    TextEncoder::new().encode_to_string(&page.registry.gather())
}

/// A registry that lives for one scrape: values are set once, and a series that is gone is gone.
struct Page {
    registry: Registry,
}

type Rows<'a, const LABELS: usize> = &'a [([&'a str; LABELS], u64)];

impl Page {
    fn sensor(&self, snapshot: &Snapshot) -> prometheus::Result<()> {
        self.gauge("build_info", "Always 1; the version is in the label.", ["version"], &[([snapshot.version], 1)])?;
        self.time("start_time_seconds", "When the sensor started, in seconds since 1970.", Some(snapshot.start))?;
        let help = "How often the wall clock was set since the start: what was observed in this boot was dated anew.";
        self.counter("clock_steps_total", help, [], &[([], snapshot.clock_steps)])?;
        let info: Vec<_> = snapshot.uplinks.iter().map(|u| ([u.interface.as_str(), u.mode], 1)).collect();
        self.gauge("uplink_info", "Always 1; how the sensor is attached to an uplink.", ["interface", "mode"], &info)?;
        let up: Vec<_> = snapshot.uplinks.iter().map(|u| ([u.interface.as_str()], u.up.into())).collect();
        self.gauge("uplink_up", "Whether an uplink is there and watched.", ["interface"], &up)?;
        let changes: Vec<_> = snapshot.uplink_changes.iter().map(|&(change, n)| ([change], n)).collect();
        self.counter("uplink_changes_total", "What became of the uplinks since the start.", ["change"], &changes)?;
        self.gauge("home_prefixes", "Prefixes that are taken as home.", [], &[([], snapshot.home_prefixes)])
    }

    fn kernel(&self, kernel: &[u64; COUNTERS as usize]) -> prometheus::Result<()> {
        let mut fates = Vec::new();
        for what in What::ALL {
            for fate in Fate::ALL {
                fates.push(([what.as_str(), fate.as_str()], kernel[counters::fate(what, fate) as usize]));
            }
        }
        self.counter(
            "events_total",
            "What became of the packets that the rules matched: matched = recorded + held_back + lost.",
            ["what", "fate"],
            &fates,
        )?;
        let mut reasons = Vec::new();
        for direction in Direction::ALL {
            for reason in GiveUp::COUNTED {
                if let Some(index) = counters::give_up(direction, reason) {
                    reasons.push(([direction.as_str(), reason.as_str()], kernel[index as usize]));
                }
            }
        }
        let help = "IPv6 packets that the parser gave up on.";
        self.counter("give_ups_total", help, ["direction", "reason"], &reasons)
    }

    fn ring(&self, ring: &Ring) -> prometheus::Result<()> {
        self.counter("ring_events_total", "Events taken from the kernel.", [], &[([], ring.drained)])?;
        let help = "Events taken from the kernel that were no valid record.";
        self.counter("ring_invalid_events_total", help, [], &[([], ring.invalid)])?;
        let help = "Events set aside because their remote was none: behind NAT64, or home.";
        self.counter("ring_set_aside_events_total", help, [], &[([], ring.set_aside)])?;
        let help = "Events that an earlier life of the sensor had seen and that are lost.";
        self.counter("restart_lost_events_total", help, [], &[([], ring.lost_between)])?;
        let help = "Seconds since the latest event, or since the start.";
        self.gauge("silence_seconds", help, [], &[([], ring.silent)])?;
        self.time("last_event_time_seconds", "When the latest event was seen, in seconds since 1970.", ring.last_event)
    }

    fn ledger(&self, ledger: &Ledger, suspects: &[(&str, u64)]) -> prometheus::Result<()> {
        self.gauge("ledger_locals", "Locals in the window.", [], &[([], ledger.locals)])?;
        self.gauge("ledger_contacts", "Contacts in the window.", [], &[([], ledger.contacts)])?;
        self.gauge("ledger_probes", "Probes in the window.", [], &[([], ledger.probes)])?;
        self.gauge("campaigns", "Campaigns in the window.", [], &[([], ledger.campaigns)])?;
        let rows: Vec<_> = suspects.iter().map(|&(verdict, n)| ([verdict], n)).collect();
        self.gauge(
            "suspects",
            "Candidates by what is thought of them; acknowledged ones are left out.",
            ["verdict"],
            &rows,
        )
    }

    fn store(&self, store: &Store) -> prometheus::Result<()> {
        self.counter(
            "store_observations_total",
            "Observations for the database, by what became of them.",
            ["result"],
            &[(["written"], store.written), (["lost"], store.lost)],
        )?;
        let help = "Observations that are yet to be written to the database.";
        self.gauge("store_queued_observations", help, [], &[([], store.queued)])?;
        let help = "Rows deleted because they were older than the retention.";
        self.counter("store_pruned_rows_total", help, [], &[([], store.pruned)])?;
        let help = "Rows deleted because the database had reached its size.";
        self.counter("store_crowded_out_rows_total", help, [], &[([], store.crowded_out)])?;
        let help = "Observations that the configuration excludes from being recorded.";
        self.counter("excluded_observations_total", help, [], &[([], store.excluded)])?;
        self.gauge("store_size_bytes", "Size of the database on disk.", [], &[([], store.bytes)])?;
        let help = "Attempts to write to the database that failed.";
        self.counter("store_failed_writes_total", help, [], &[([], store.failed_writes)])?;
        let help = "Databases that were found damaged and were set aside.";
        self.counter("store_damaged_databases_total", help, [], &[([], store.damaged)])?;
        let help = "Whether the latest write failed, or does not end.";
        self.gauge("store_failing", help, [], &[([], store.failing.into())])
    }

    fn counter<const L: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; L],
        rows: Rows<'_, L>,
    ) -> prometheus::Result<()> {
        let family = IntCounterVec::new(options(name, help), &labels)?;
        for (values, value) in rows {
            family.get_metric_with_label_values(values)?.inc_by(*value);
        }
        self.register(family)
    }

    fn gauge<const L: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; L],
        rows: Rows<'_, L>,
    ) -> prometheus::Result<()> {
        let family = IntGaugeVec::new(options(name, help), &labels)?;
        for (values, value) in rows {
            family.get_metric_with_label_values(values)?.set(i64::try_from(*value).unwrap_or(i64::MAX));
        }
        self.register(family)
    }

    fn time(&self, name: &str, help: &str, time: Option<Time>) -> prometheus::Result<()> {
        let family = GaugeVec::new(options(name, help), &[])?;
        if let Some(time) = time {
            family.get_metric_with_label_values::<&str>(&[])?.set(time.0 as f64 / 1e6);
        }
        self.register(family)
    }

    fn register(&self, family: impl Collector + 'static) -> prometheus::Result<()> {
        self.registry.register(Box::new(family))
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("tattler")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn snapshot() -> Snapshot {
        let mut kernel = [0; COUNTERS as usize];
        kernel[counters::fate(What::Probe, Fate::HeldBack) as usize] = 7;
        kernel[counters::give_up(Direction::Ingress, GiveUp::TooDeep).unwrap() as usize] = 3;
        Snapshot {
            version: "0.1.0",
            start: Time(1_788_226_914_831_000),
            clock_steps: 3,
            kernel,
            exposed_locals: 3,
            ring: Ring {
                drained: 12,
                invalid: 1,
                set_aside: 2,
                lost_between: 3,
                silent: 4,
                last_event: Some(Time(1_788_226_915_000_000)),
            },
            uplinks: vec![
                Uplink { interface: "wan0".into(), mode: "native", up: true },
                Uplink { interface: "odd\"\\name".into(), mode: "generic", up: false },
            ],
            uplink_changes: vec![("lost", 3), ("attached", 0)],
            home_prefixes: 2,
            ledger: Ledger { locals: 5, contacts: 6, probes: u64::MAX, campaigns: 0 },
            suspects: vec![("strong", 1), ("weak", 0)],
            suspects_age: 8,
            store: Store {
                written: 9,
                lost: 2,
                queued: 1,
                pruned: 4,
                crowded_out: 5,
                excluded: 6,
                bytes: 4096,
                failing: true,
                failed_writes: 12,
                damaged: 3,
            },
        }
    }

    #[test]
    fn every_figure_stands_under_its_name() {
        let page = encode(&snapshot()).unwrap();
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
        assert_eq!(fates + reasons, COUNTERS as usize, "every counter of the kernel is told once");
    }

    #[test]
    fn a_sensor_that_saw_nothing_yet_has_no_last_event() {
        let page = encode(&Snapshot { ring: Ring::default(), uplinks: Vec::new(), ..snapshot() }).unwrap();
        assert!(!page.contains("tattler_last_event_time_seconds"));
    }

    /// Name, type and labels of each metric: of the page that is exported, and of docs/metrics.md.
    #[test]
    fn the_documentation_lists_every_metric_with_its_type_and_labels_and_no_other() {
        let page = encode(&snapshot()).unwrap();
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
    fn promtool_finds_nothing_to_complain_of() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs promtool; it comes with the package prometheus");
        promtool.stdin.take().unwrap().write_all(encode(&snapshot()).unwrap().as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
