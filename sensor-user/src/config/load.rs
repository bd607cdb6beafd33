//! Finds and reads the files, and collects all problems.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tattler_files::reason;
use toml::de::DeTable;

use super::reader::FileProblems;
use super::sections::{WindowLocations, apply};
use super::{Config, FileLocation, Problem, SensorSection};

/// The default file; `conf.d` is in the same directory.
pub const DEFAULT_PATH: &str = "/etc/tattler/tattler.toml";

/// Size of the largest file read, in bytes: larger than any configuration. A device file would have no end.
const LARGEST: u64 = 4 << 20;

/// A configuration and the paths of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files, in the order in which they were read.
    pub files: Vec<PathBuf>,
}

/// All problems of a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.first().map(ToString::to_string).unwrap_or_default();
        match self.0.len() {
            0 | 1 => write!(f, "{shown}"),
            n => write!(f, "{shown} (and {} more: `tattler check-config` lists them)", n - 1),
        }
    }
}

impl std::error::Error for Problems {}

/// Reads a configuration: the named file, which must exist, or the default file, which may be missing; and the
/// files of `conf.d` in the same directory.
///
/// # Errors
/// All problems of all files. A configuration with a problem is not used.
pub fn load(named: Option<&Path>) -> Result<Loaded, Problems> {
    let main = named.unwrap_or(Path::new(DEFAULT_PATH));
    let mut problems = Vec::new();
    let mut files = vec![main.to_owned()];
    match parts(main) {
        Ok(parts) => files.extend(parts),
        Err(problem) => problems.push(problem),
    }
    let mut loaded = Loaded::default();
    let mut locations = WindowLocations::default();
    for file in files {
        match read(&file) {
            Ok(text) => {
                read_one(&mut loaded.config, &mut locations, &file, &text, &mut problems);
                loaded.files.push(file);
            }
            Err(error) if named.is_none() && file == main && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => problems.push(cannot_read(&file, &error)),
        }
    }
    let store = &loaded.config.store;
    if store.window_days > store.retention_days {
        let location =
            locations.window.or(locations.retention).unwrap_or(FileLocation { file: main.to_owned(), line: None });
        let what = format!(
            "store.window_days {} is longer than store.retention_days {}; attribution can't see what is not kept",
            store.window_days, store.retention_days
        );
        problems.push(Problem { location, what });
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems)) }
}

/// The section `[sensor]` of the default configuration, for commands that need the socket or the state
/// directory. A configuration that is unreadable or has a problem counts as missing: no running sensor
/// uses such a configuration.
#[must_use]
pub fn default_sensor() -> SensorSection {
    static SENSOR: OnceLock<SensorSection> = OnceLock::new();
    SENSOR.get_or_init(|| load(None).map_or_else(|_| SensorSection::default(), |loaded| loaded.config.sensor)).clone()
}

/// The paths of the files of `conf.d`, in order of name.
fn parts(main: &Path) -> Result<Vec<PathBuf>, Problem> {
    let dir = main.with_file_name("conf.d");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_read(&dir, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| cannot_read(&dir, &error))?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> io::Result<String> {
    let found = fs::metadata(file)?;
    if !found.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if found.len() > LARGEST {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    fs::read_to_string(file)
}

fn read_one(
    config: &mut Config,
    locations: &mut WindowLocations,
    file: &Path,
    text: &str,
    problems: &mut Vec<Problem>,
) {
    let mut found = FileProblems { file, text, problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        found.add(error.span().unwrap_or_default(), format!("not TOML: {what}"));
    }
    // If the syntax is wrong, report only the syntax error, which may be the cause of other problems.
    if errors.is_empty() {
        apply(config, locations, table.get_ref(), &mut found);
    }
    found.problems.sort_by_key(|problem| problem.location.line);
    problems.append(&mut found.problems);
}

fn cannot_read(file: &Path, error: &io::Error) -> Problem {
    let reason = match error.kind() {
        io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
        _ => reason(error),
    };
    Problem { location: FileLocation { file: file.to_owned(), line: None }, what: format!("cannot be read: {reason}") }
}
