//! Output of the lab, for people and for programs.

use std::io::{self, IsTerminal, Write};
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::netns::Namespace;
use super::plan;
use super::sensor::Sensor;
use super::world::World;

/// Time between two pages.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The sensor's report, with the lab's own facts under the key `lab`.
pub fn with_truth(mut report: Value, world: &World) -> Result<String> {
    let names = |addresses: &[Ipv6Addr]| -> Vec<String> { addresses.iter().map(Ipv6Addr::to_string).collect() };
    let document = report.as_object_mut().context("the report is not a JSON object")?;
    document.insert(
        "lab".to_owned(),
        json!({
            "harvesters": names(world.harvesters()),
            "bystanders": names(&plan::bystanders(world.harvesters())),
            "third_parties": names(&plan::third_party_addresses()),
            "sweepers": names(&plan::sweepers()),
            "path_probers": names(&plan::path_probers()),
        }),
    );
    serde_json::to_string_pretty(&report).context("write the report")
}

/// Prints the suspects and the lab's progress. On a terminal, each page replaces the previous page.
pub fn show(table: &str, elapsed: Duration, world: &World, further: &str) -> Result<()> {
    let mut out = io::stdout();
    let seconds = elapsed.as_secs();
    let mut page = format!("tattler lab, {seconds} s: {}\n\n{table}\n", world.summary());
    // In a file, the commands appear once.
    if out.is_terminal() || seconds == 0 {
        page += further;
    }
    if out.is_terminal() {
        // Move the cursor to the top left, clear the end of each line, and clear the remaining lines of a longer
        // previous page. The screen would flicker if it were cleared as a whole.
        let lines = page.replace('\n', "\x1b[K\n");
        page = format!("\x1b[H{lines}\x1b[J");
    }
    out.write_all(page.as_bytes()).and_then(|()| out.flush()).context("write the suspects to standard output")
}

/// Commands with which a user can examine the lab.
pub fn further(sensor: &Sensor, router: &Namespace, world: &World) -> String {
    let mut text = match world.harvesters() {
        [server, site] => format!("the lab's harvesters are {server} (time server) and {site} (web site)\n"),
        _ => "nothing leaks in this lab, so tattler must accuse nobody\n".to_owned(),
    };
    text += "to look further, in another terminal, as root:\n";
    let shell = (format!("{} bash", router.inside().enter()), "a shell on the home's router");
    for (command, what) in sensor.further().into_iter().chain([shell]) {
        text += &format!("    {command}    # {what}\n");
    }
    text + "Ctrl-C ends the lab and cleans up\n"
}
