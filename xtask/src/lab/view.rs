//! What a person or a program sees of the lab.

use std::io::{self, IsTerminal};
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::netns::Namespace;
use super::plan;
use super::sensor::Sensor;
use super::world::World;

/// Between two looks at the suspects.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The sensor's report with what the lab knows about itself under the key `lab`.
pub fn with_truth(mut report: Value) -> Result<String> {
    let names = |addresses: &[Ipv6Addr]| -> Vec<String> {
        addresses.iter().map(Ipv6Addr::to_string).collect()
    };
    let document = report.as_object_mut().context("the report is not a JSON object")?;
    document.insert(
        "lab".to_owned(),
        json!({
            "harvesters": names(&plan::harvesters()),
            "bystanders": names(&plan::bystanders()),
            "sweepers": names(&plan::sweepers()),
        }),
    );
    serde_json::to_string_pretty(&report).context("write the report")
}

/// The suspects, how the lab is doing, and how to look further. On a terminal each look takes the
/// place of the one before.
pub fn show(table: &str, elapsed: Duration, world: &World, sensor: &Sensor, router: &Namespace) {
    let mut page = format!("tattler lab, {} s: {}\n\n", elapsed.as_secs(), world.summary());
    page += table;
    let [server, site] = plan::harvesters();
    page += &format!("\nthe lab's harvesters are {server} (time server) and {site} (web site)\n");
    page += "to look further, in another terminal, as root:\n";
    for (command, what) in sensor.further() {
        page += &format!("    {command}\n        {what}\n");
    }
    page += &format!("    {} bash\n        a shell on the home's router\n", router.inside().enter());
    page += "Ctrl-C ends the lab and cleans up\n";
    if io::stdout().is_terminal() {
        // Home, each line to its end, then what is left of a longer page: no flicker.
        let lines = page.replace('\n', "\x1b[K\n");
        print!("\x1b[H{lines}\x1b[J");
    } else {
        println!("{page}");
    }
    // A terminal that is gone ends the lab by its signal, not here.
    let _ = io::Write::flush(&mut io::stdout());
}
