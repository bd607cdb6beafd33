//! `tattler forget`: away for good.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tattler_core::forget::{Forget, Forgotten};
use tattler_core::names::Names;
use tattler_core::time::Time;
use tattler_core::words::plural;

use super::query;
use crate::cli::{Usage, arguments, complain};
use crate::contract::Request;
use crate::socket;
use crate::store::Store;
use crate::told;

/// Delete a device, an address, a prefix or a time from the diary, for good.
///
/// The running sensor is told, and forgets too; or, with --state, the directory of one that does not
/// run. The rows leave the bytes of the files as well, which takes as much room again for a moment.
/// Exports that you made are yours to delete.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tattler forget printer\n  tattler forget dev-7f3a91c2\n  tattler forget 2001:db8:1:2::/64\n  \
                        tattler forget --before 2026-10-01"
)]
pub(in crate::cli) struct Arguments {
    /// A device by name, identifier or MAC address; or an address or a prefix, inside or outside
    #[arg(value_name = "DEVICE|PREFIX")]
    what: Option<String>,
    /// Only what was before; of a contact that went on, its last time stays
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    before: Option<Time>,
    /// The running sensor's socket
    #[arg(long, value_name = "PATH", default_value_os_t = crate::config::default_sensor().socket)]
    socket: PathBuf,
    /// The state directory of a sensor that does not run
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    state: Option<PathBuf>,
    /// Whose names count with --state [default: /etc/tattler/tattler.toml, if it is there]
    #[arg(long, value_name = "PATH", requires = "state")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let named = arguments.what.as_deref().map(Forget::parse).unwrap_or_default();
    let forget = Forget { before: arguments.before, ..named };
    if forget.is_nothing() {
        return Err(Usage(
            "nothing named that could be forgotten: name a device, an address, a prefix, or a time with --before"
                .into(),
        )
        .into());
    }
    let forgotten = if let Some(dir) = &arguments.state {
        let mut store = Store::open_existing(dir)?;
        // Only a device has a name.
        let names = if forget.device.is_some() {
            let config = query::configured(arguments.config.as_deref())?;
            told::names(&config.names, &config.home.public, Some(&store.device_key()?))
        } else {
            Names::default()
        };
        let meant = told::meant(&forget, &names, &mut store, false)?;
        store.forget_all(&meant)?
    } else {
        serde_json::from_value(socket::ask(&arguments.socket, &Request::Forget { what: forget })?)?
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", said(&forgotten))?;
    if forgotten == Forgotten::default() {
        complain("nothing of that is in the diary; `tattler locals` shows addresses and devices");
    }
    Ok(ExitCode::SUCCESS)
}

fn said(forgotten: &Forgotten) -> String {
    let Forgotten { contacts, clipped, probes, answers, acks, damaged_files } = *forgotten;
    let mut text = format!(
        "forgotten: {}, {}, {}, {}",
        plural(contacts, "contact", "contacts"),
        plural(probes, "probe", "probes"),
        plural(answers, "answer", "answers"),
        plural(acks, "acknowledgement", "acknowledgements")
    );
    match clipped {
        0 => {}
        1 => text += "; 1 contact that went on keeps its last time alone",
        _ => text += &format!("; {clipped} contacts that went on keep their last time alone"),
    }
    match damaged_files {
        0 => {}
        1 => text += "; 1 damaged database that had been set aside, whatever it held",
        _ => text += &format!("; {damaged_files} damaged databases that had been set aside, whatever they held"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_none_and_two_are_many() {
        let forgotten = Forgotten { contacts: 1, clipped: 1, probes: 0, answers: 2, acks: 1, damaged_files: 0 };
        let text = "forgotten: 1 contact, 0 probes, 2 answers, 1 acknowledgement; 1 contact that went on keeps its \
                    last time alone";
        assert_eq!(said(&forgotten), text);
    }
}
