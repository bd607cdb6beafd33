//! `tattler export`: writes the diary as JSON Lines.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tattler_core::time::Time;

use crate::cli::{arguments, cannot_write, in_order};
use crate::store::{Export, Reader};

/// Write contacts and probes as JSON Lines, whether the sensor runs or not.
///
/// Run the command as the owner of the state directory or as root. The output is as private as the diary.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  tattler export --since 2026-11-01 | tattler analyze -\n  \
                        tattler export --all -o backup.jsonl")]
pub(in crate::cli) struct Arguments {
    /// Write a backup for `tattler import`: also answers, acknowledgements and the secret key of device
    /// identifiers
    #[arg(long)]
    all: bool,
    /// Leave out rows that ended earlier: RFC 3339, or a date in UTC
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    since: Option<Time>,
    /// Leave out rows that began later
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    until: Option<Time>,
    /// A file, created only when complete and readable by its owner alone [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The state directory
    #[arg(long, value_name = "DIR", default_value_os_t = crate::config::default_sensor().state)]
    state: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    in_order(arguments.since, arguments.until)?;
    let export = Export { all: arguments.all, since: arguments.since, until: arguments.until };
    let reader = Reader::open(&arguments.state)?;
    match arguments.output.as_deref() {
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            reader.export(&export, &mut out)?;
        }
        Some(path) => whole(path, |out| Ok(reader.export(&export, out).map(drop)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a draft file in the same directory, and renames the draft when it is complete.
fn whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(OsStr::new(&format!(".{}", std::process::id())));
    let draft = PathBuf::from(draft);
    let made = create(&draft).map_err(|error| cannot_write(path, &error)).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&draft, path).map_err(|error| cannot_write(path, &error))
    });
    if made.is_err() {
        let _ = fs::remove_file(&draft); // The draft may not exist; the first error counts.
    }
    made
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
