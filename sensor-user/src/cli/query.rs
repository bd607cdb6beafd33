//! What `status`, `suspects` and `explain` share: they ask the running sensor.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::socket::{self, Request};

/// Where to ask, and how to print the answer.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The running sensor's socket.
    #[arg(long, value_name = "PATH", default_value_os_t = crate::config::default_sensor().socket)]
    socket: PathBuf,
    /// A table for people, JSON for programs.
    #[arg(long, value_enum, default_value_t)]
    format: super::Format,
}

impl Arguments {
    /// Asks, and prints the answer as it is, or as `table` writes it.
    pub(super) fn ask<T: DeserializeOwned + Serialize>(
        &self,
        request: &Request,
        table: impl FnOnce(&T) -> String,
    ) -> Result<ExitCode> {
        let answer = socket::ask(&self.socket, request)?;
        let answer: T = serde_json::from_value(answer).with_context(|| {
            format!("cannot read the answer of the sensor at {}; is it of this version?", self.socket.display())
        })?;
        let mut out = io::stdout().lock();
        match self.format {
            super::Format::Json => {
                serde_json::to_writer(&mut out, &answer).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            super::Format::Table => out.write_all(table(&answer).as_bytes())?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
