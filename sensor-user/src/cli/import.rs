//! `tattler import`: files into the diary.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::{complain, reading};
use crate::config::{self, Config};
use crate::exclusions::Exclusions;
use crate::source::jsonl::Aside;
use crate::source::{self, Input};
use crate::store::{self, DeviceKey, ImportSettings, Imported, Store};
use crate::time::Span;

/// Take files into the diary: all of them, or nothing if it fails or is interrupted.
///
/// What is there already is there once, so that an import may be repeated. What is older than the
/// retention is left out; `tattler analyze` takes all. No sensor may be running on the directory.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler import backup.jsonl")]
pub(super) struct Arguments {
    /// Whatever `tattler analyze` reads; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    #[command(flatten)]
    reading: reading::Arguments,
    /// The state directory
    #[arg(long, value_name = "DIR", default_value_os_t = crate::config::default_sensor().state)]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let inputs: Vec<Input> = arguments.files.iter().map(|file| Input::from_argument(file)).collect();
    let options = arguments.reading.options();
    let began = Instant::now();
    // What is never recorded must not come in by this way either.
    let Config { exclude, store: kept, privacy, .. } = config::load(None)?.config;

    let mut store = Store::open(&arguments.state)?;
    let key = store.device_key()?;
    let settings = ImportSettings {
        now: (store::Settings::default().clock)(),
        retention: Span::from_days(kept.retention_days.into()),
        exclusions: Exclusions {
            devices: exclude
                .devices
                .iter()
                .map(|device| device.known_as(|mac| key.name(mac, privacy.keep_mac)))
                .collect(),
            remotes: exclude.remotes,
            ports: exclude.ports,
        },
    };
    let mut importer = store.import(settings)?;
    let mut whole = true;
    let summary = source::read(&inputs, &options, &mut |observation| importer.add(observation), &mut |fault| {
        reading::tell(fault);
        whole = false;
    })?;
    reading::end(&summary, began);
    for aside in &summary.asides {
        match aside {
            Aside::Ack(ack) => importer.acknowledge(ack),
            Aside::DeviceKey(key) => {
                if !importer.adopt_key(&DeviceKey::from_bytes(*key)) {
                    complain("devices have names by another key here: those of the files will not meet them");
                    whole = false;
                }
            }
        }
    }
    let imported = importer.finish()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", said(&imported))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn said(imported: &Imported) -> String {
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
