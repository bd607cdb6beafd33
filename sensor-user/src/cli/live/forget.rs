//! `tattler forget`: deletes data from the diary for good.

use std::path::PathBuf;
use std::process::ExitCode;

use tattler_core::forget::{Forget, Forgotten};
use tattler_core::names::Names;
use tattler_core::time::Time;
use tattler_core::words::plural;

use super::query;
use crate::cli::{Usage, arguments, complain, print};
use crate::contract::Request;
use crate::device_names;
use crate::socket;
use crate::store::Store;

/// Delete a device, an address, a prefix or a time from the diary, for good.
///
/// Asks the running sensor, which also deletes the data from memory. With --state, changes the directory of a
/// sensor that does not run. The bytes are removed from the files as well, which for a short time needs as much
/// free space as the files. Exports that you made are not changed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tattler forget printer\n  tattler forget dev-7f3a91c2\n  tattler forget 2001:db8:1:2::/64\n  \
                        tattler forget --before 2026-10-01"
)]
pub(in crate::cli) struct Arguments {
    /// A device by name, identifier or MAC address; or an address or a prefix, inside or outside
    #[arg(value_name = "DEVICE|PREFIX")]
    what: Option<String>,
    /// Only rows before this time; a contact that continued keeps its last time
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    before: Option<Time>,
    /// The running sensor's socket
    #[arg(long, value_name = "PATH", default_value_os_t = crate::config::default_sensor().socket)]
    socket: PathBuf,
    /// The state directory of a sensor that does not run
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    state: Option<PathBuf>,
    /// The configuration with the names for --state [default: /etc/tattler/tattler.toml, if it exists]
    #[arg(long, value_name = "PATH", requires = "state")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let named = arguments.what.as_deref().map(Forget::parse).unwrap_or_default();
    let forget = Forget { before: arguments.before, ..named };
    if forget.is_nothing() {
        return Err(Usage(
            "nothing to forget was named: name a device, an address, a prefix, or a time with --before".into(),
        )
        .into());
    }
    let forgotten = if let Some(dir) = &arguments.state {
        let mut store = Store::open_existing(dir)?;
        // Only a device can be given by name.
        let names = if forget.device.is_some() {
            let config = query::configured(arguments.config.as_deref())?;
            device_names::names(&config.names, &config.home.public, Some(&store.device_key()?))
        } else {
            Names::default()
        };
        let meant = device_names::resolve(&forget, &names, &mut store, false)?;
        store.forget(&meant)?
    } else {
        serde_json::from_value(socket::ask(&arguments.socket, &Request::Forget { what: forget })?)?
    };
    print(summary(&forgotten) + "\n")?;
    if forgotten == Forgotten::default() {
        complain("the diary has none of that; `tattler locals` shows addresses and devices");
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(forgotten: &Forgotten) -> String {
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
        1 => text += "; 1 contact that continued keeps only its last time",
        _ => text += &format!("; {clipped} contacts that continued keep only their last time"),
    }
    match damaged_files {
        0 => {}
        1 => text += "; 1 damaged database that had been set aside, with all its rows",
        _ => text += &format!("; {damaged_files} damaged databases that had been set aside, with all their rows"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_is_singular_and_none_or_two_are_plural() {
        let forgotten = Forgotten { contacts: 1, clipped: 1, probes: 0, answers: 2, acks: 1, damaged_files: 0 };
        let text = "forgotten: 1 contact, 0 probes, 2 answers, 1 acknowledgement; 1 contact that continued keeps \
        only its last time";
        assert_eq!(summary(&forgotten), text);
    }
}
