//! `tattler check-config`: lists the problems of the configuration, or prints the configuration in effect.

use std::path::PathBuf;
use std::process::ExitCode;

use super::complain;
use crate::config::{self, DEFAULT_PATH};

/// List the problems of the configuration, one per line, or print the configuration in effect.
///
/// Reads the file and the files of conf.d in the same directory. The output is a valid configuration.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler check-config /etc/tattler/tattler.toml")]
pub(super) struct Arguments {
    /// The file to check [default: /etc/tattler/tattler.toml]
    #[arg(value_name = "PATH", conflicts_with = "config")]
    path: Option<PathBuf>,
    /// The file to check, as an option, as for other commands
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.config.as_deref().or(arguments.path.as_deref());
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            problems.0.iter().for_each(complain);
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut text: String = loaded.files.iter().map(|file| format!("# read {}\n", file.display())).collect();
    if text.is_empty() {
        text = format!("# there is no {DEFAULT_PATH}; these are the defaults\n");
    }
    super::print(text + &toml::to_string(&loaded.config)?)?;
    Ok(ExitCode::SUCCESS)
}
