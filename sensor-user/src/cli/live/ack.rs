//! `tattler ack`: acknowledges suspects.

use std::path::PathBuf;
use std::process::ExitCode;

use ipnet::Ipv6Net;
use tattler_core::ack::{Ack, LONGEST_NOTE};
use tattler_core::time::Time;
use tattler_core::words::remote_name;

use super::Plain;
use crate::cli::{Usage, arguments, print};
use crate::contract::Request;
use crate::socket;
use crate::store::{Store, StoreSettings};

/// Acknowledge a suspect, so that it is no longer shown every day. Nothing about the suspect is deleted.
///
/// Asks the running sensor. With --state, writes to the directory of a sensor that does not run.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler ack 2a05:d014::53 --until 2026-12-31 --note 'our own monitor'")]
pub(in crate::cli) struct Arguments {
    /// An address or a prefix.
    #[arg(value_parser = tattler_core::remote::parse, required_unless_present_any = ["list", "undo"])]
    remote: Option<Ipv6Net>,
    /// The time to show the suspect again [default: never]
    #[arg(long, value_name = "TIME", value_parser = arguments::time, requires = "remote")]
    until: Option<Time>,
    /// Your reason
    #[arg(long, value_name = "TEXT", requires = "remote")]
    note: Option<String>,
    /// List all acknowledgements
    #[arg(long, conflicts_with_all = ["remote", "undo", "until", "note"])]
    list: bool,
    /// Remove the acknowledgement of this remote
    #[arg(long, value_name = "REMOTE", value_parser = tattler_core::remote::parse,
          conflicts_with_all = ["remote", "until", "note"])]
    undo: Option<Ipv6Net>,
    /// The running sensor's socket
    #[arg(long, value_name = "PATH", default_value_os_t = crate::config::default_sensor().socket)]
    socket: PathBuf,
    /// The state directory of a sensor that does not run
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    state: Option<PathBuf>,
    /// A table for people, JSON for programs
    #[arg(long, value_enum, default_value_t, requires = "list")]
    format: Plain,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(Usage(format!("--note is longer than {LONGEST_NOTE} bytes: shorten it")).into());
    }
    let text = if arguments.list {
        list(&acks(arguments)?, arguments.format)?
    } else if let Some(remote) = arguments.undo {
        undo(arguments, remote.trunc())?;
        format!("{} is shown again\n", remote_name(remote))
    } else if let Some(remote) = arguments.remote {
        acknowledge(arguments, remote.trunc())?;
        let until = arguments.until.map_or_else(|| "for good".to_owned(), |until| format!("until {until}"));
        format!("{} is acknowledged {until}\n", remote_name(remote))
    } else {
        return Err(Usage("no remote given: see `tattler ack --help`".into()).into());
    };
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn acknowledge(arguments: &Arguments, remote: Ipv6Net) -> anyhow::Result<()> {
    let (until, note) = (arguments.until, arguments.note.clone());
    if let Some(dir) = &arguments.state {
        let ack = Ack { remote, at: (StoreSettings::default().clock)(), until, note };
        Store::open_existing(dir)?.acknowledge(&ack)?;
    } else {
        socket::ask(&arguments.socket, &Request::Ack { remote, until, note })?;
    }
    Ok(())
}

fn undo(arguments: &Arguments, remote: Ipv6Net) -> anyhow::Result<()> {
    if let Some(dir) = &arguments.state {
        if !Store::open_existing(dir)?.unacknowledge(remote)? {
            anyhow::bail!("{} is not acknowledged; `tattler ack --list` shows what is", remote_name(remote));
        }
    } else {
        socket::ask(&arguments.socket, &Request::Unack { remote })?;
    }
    Ok(())
}

fn acks(arguments: &Arguments) -> anyhow::Result<Vec<Ack>> {
    if let Some(dir) = &arguments.state {
        return Ok(Store::open_existing(dir)?.acks()?);
    }
    Ok(serde_json::from_value(socket::ask(&arguments.socket, &Request::Acks {})?)?)
}

fn list(acks: &[Ack], format: Plain) -> anyhow::Result<String> {
    if let Plain::Json = format {
        return Ok(serde_json::to_string(acks)? + "\n");
    }
    if acks.is_empty() {
        return Ok("Nothing is acknowledged.\n".into());
    }
    let line = |ack: &Ack| {
        let until = ack.until.map_or_else(|| "for good".to_owned(), |until| format!("until {until}"));
        // A note may contain control characters, even line breaks.
        let note: String =
            ack.note.iter().flat_map(|note| note.chars()).map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{:<43}  {}  {until:<30}  {note}", remote_name(ack.remote), ack.at).trim_end().to_owned() + "\n"
    };
    Ok(acks.iter().map(line).collect())
}
