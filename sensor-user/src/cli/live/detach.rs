//! `tattler detach`: removes the leftovers of a crashed sensor.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use crate::cli::{complain, print};
use crate::datapath::{self, Leftovers, PinError};
use crate::netlink::Netlink;
use crate::store::{self, OpenError};

/// Remove programs and maps that a crashed sensor left attached or pinned.
///
/// A sensor that is stopped detaches by itself. A sensor that is killed leaves programs and maps pinned for its
/// next start; so does a sensor with --keep whenever it stops. The diary is not changed.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler detach")]
pub(in crate::cli) struct Arguments {
    /// The state directory of the sensor; the sensor must not be running
    #[arg(long, value_name = "DIR", default_value_os_t = crate::config::default_sensor().state)]
    state: PathBuf,
    /// The directory of the sensor's pins [default: below /sys/fs/bpf/tattler, by the state directory]
    #[arg(long, value_name = "DIR")]
    pins: Option<PathBuf>,
    /// Detach even if a sensor runs, which may then see no packets
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // The lock is held to the end, so that no sensor starts meanwhile.
    let _lock = match store::hold(&arguments.state) {
        Ok(lock) => lock,
        Err(OpenError::InUse { .. }) if arguments.force => None,
        Err(OpenError::InUse { dir, holder }) => {
            bail!("{} is in use{holder}; stop the sensor first, or detach with --force", dir.display())
        }
        Err(error) => return Err(error.into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let network = runtime.block_on(async { Netlink::connect()?.network().await })?;
    let pins = arguments.pins.clone().unwrap_or_else(|| datapath::pins_of(&arguments.state));
    let devices: Vec<String> = network.devices.into_iter().map(|device| device.name).collect();
    // A sensor in a container may have another directory at the same path, but pins at this path.
    let _pins = match datapath::lock_pins(&pins) {
        Err(PinError::InUse(_)) if !arguments.force => {
            bail!("{} is in use; stop the sensor first, or detach with --force", pins.display())
        }
        lock => lock.ok(),
    };
    let Leftovers { removed, stays } = datapath::remove_leftovers(&devices, &pins);
    let nothing = if removed.is_empty() && stays.is_empty() { "nothing was left\n" } else { "" };
    print(removed.iter().map(|line| format!("{line}\n")).collect::<String>() + nothing)?;
    stays.iter().for_each(complain);
    Ok(if stays.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
