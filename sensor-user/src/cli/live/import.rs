//! `tattler import`: reads files into the diary.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::anyhow;
use tattler_core::exclusions::Exclusions;
use tattler_core::observation::Observation;
use tattler_core::time::Span;
use tattler_files::jsonl::BackupEntry;
use tattler_files::{Fault, Input, Position, ReadSummary, Sink};

use crate::cli::{complain, print, reading};
use crate::config::{self, Config};
use crate::store::{self, DeviceKey, ImportSettings, Imported, Importer, Store};

/// Import files into the diary.
///
/// Observations that are already in the diary are merged. Repeat an import that failed or was interrupted:
/// the import continues where it stopped. A file that has grown is read from its former end. Observations older
/// than the retention are left out; `tattler analyze` uses all observations. No sensor may be running on the directory.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler import backup.jsonl")]
pub(in crate::cli) struct Arguments {
    /// Any file that `tattler analyze` reads; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    #[command(flatten)]
    reading: reading::Arguments,
    /// Read files from their beginning, even if they were imported before: with another --home, or after
    /// `forget`
    #[arg(long)]
    again: bool,
    /// The state directory
    #[arg(long, value_name = "DIR", default_value_os_t = crate::config::default_sensor().state)]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let inputs: Vec<Input> = arguments.files.iter().map(|file| Input::from_argument(file)).collect();
    let mut options = arguments.reading.options();
    let began = Instant::now();
    // The exclusions of the configuration apply to imports too.
    let Config { exclude, store: kept, privacy, .. } = config::load(None)?.config;

    // Report a missing file before any other file is imported.
    for input in inputs.iter().filter(|input| input.is_rereadable()) {
        input.open()?;
    }

    let mut store = Store::open(&arguments.state)?;
    if !arguments.again {
        options.known = store.positions()?;
    }
    // Create a key for device identifiers only if needed: a backup to restore contains a key.
    let devices = if exclude.devices.is_empty() {
        Vec::new()
    } else {
        let key = store.device_key()?;
        exclude.devices.iter().map(|device| device.known_as(|mac| key.name(mac, privacy.keep_mac))).collect()
    };
    let settings = ImportSettings {
        now: (store::StoreSettings::default().clock)(),
        retention: Span::from_days(kept.retention_days.into()),
        exclusions: Exclusions { devices, remotes: exclude.remotes, ports: exclude.ports },
    };
    let mut taking = Taking { importer: store.import(settings)?, whole: true };
    let summary = tattler_files::read_into(&inputs, &options, &mut taking)?;
    let Taking { mut importer, whole } = taking;
    importer.keep(&summary.positions);
    let kept = importer.kept();
    let finished = importer.finish();
    reading::end(&summary, began);
    let imported = finished.map_err(|error| match kept {
        0 => error.into(),
        _ => anyhow!("{error}; {kept} observations are imported: repeat the import to go on from there"),
    })?;
    print(result(&imported) + &known(&summary) + "\n")?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes observations to the store. If a write fails, no more input is read.
struct Taking<'s> {
    importer: Importer<'s>,
    whole: bool,
}

impl Sink for Taking<'_> {
    fn observe(&mut self, observation: Observation) {
        self.importer.add(observation);
    }

    fn report(&mut self, fault: Fault) {
        reading::report(fault);
        self.whole = false;
    }

    fn backup(&mut self, entry: BackupEntry) {
        match entry {
            BackupEntry::Ack(ack) => self.importer.acknowledge(&ack),
            BackupEntry::DeviceKey(key) => {
                if !self.importer.adopt_key(&DeviceKey::from_bytes(key)) {
                    complain(
                        "the diary has another key for device identifiers: devices in the files will not match its own",
                    );
                    self.whole = false;
                }
            }
        }
    }

    fn wants_positions(&self) -> bool {
        self.importer.is_due()
    }

    fn reached(&mut self, positions: &[Position]) {
        self.importer.reached(positions);
    }

    fn goes_on(&self) -> bool {
        !self.importer.has_failed()
    }
}

fn known(summary: &ReadSummary) -> String {
    match summary.known {
        0 => String::new(),
        known => format!("; {known} lines or frames were imported before (--again reads them again)"),
    }
}

fn result(imported: &Imported) -> String {
    let Imported { observations, new, merged, old, future, excluded, acks } = *imported;
    let mut text = format!("{observations} observations: {new} new rows, {merged} merged");
    for (count, what) in
        [(old, "older than the retention, left out"), (future, "in the future, left out"), (excluded, "excluded")]
    {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    if acks > 0 {
        text += &format!("; {acks} acknowledgements");
    }
    text
}
