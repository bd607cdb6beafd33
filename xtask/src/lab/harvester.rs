//! The two harvesters. Each harvester reads the visitors from the log of its own real server, and passes on every new
//! address once: a repeated visit causes no second scan.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::RngExt;

use crate::{paths, process};

use super::internet::{self, Internet};
use super::scanner::Scanner;
use super::world::World;
use super::{Actor, plan};

/// Delay between a visit and the scan, in seconds.
const DELAY: Range<f64> = 2.0..8.0;

const POLL: Duration = Duration::from_millis(500);

pub struct Harvester {
    address: Ipv6Addr,
    /// Reads the visitors that the server recorded.
    visitors: Box<dyn Fn() -> Result<Vec<Ipv6Addr>> + Send>,
    scanner: Scanner,
}

/// A harvester with a server of the NTP pool, as in January 2016.
pub fn time_server(internet: &Internet, dir: &Path) -> Harvester {
    let address = plan::harvesting_server();
    let socket = internet::control_socket(dir, address);
    Harvester { address, visitors: Box::new(move || clients(&socket)), scanner: Scanner::of_server(internet) }
}

/// A harvester with a web site.
pub fn web_site(internet: &Internet, dir: &Path) -> Harvester {
    let (address, log) = (plan::harvesting_site(), internet::access_log(dir, "site"));
    Harvester { address, visitors: Box::new(move || logged_visitors(&log)), scanner: Scanner::of_site(internet) }
}

impl Actor for Harvester {
    fn name(&self) -> String {
        format!("harvester {}", self.address)
    }

    fn act(self, world: &World) -> Result<()> {
        let mut random = world.random(u64::from(self.address.segments()[1]));
        let mut known = BTreeSet::new();
        let mut queue = VecDeque::new();
        let mut quiet_polls = 0;
        while !world.is_over() {
            let is_quiet = !world.has_visitors();
            for visitor in (self.visitors)()? {
                if known.insert(visitor) {
                    let wait = Duration::from_secs_f64(random.random_range(DELAY));
                    queue.push_back((Instant::now() + wait, visitor));
                }
            }
            while let Some(at) = queue.iter().position(|(due, _)| *due <= Instant::now()) {
                let Some((_, target)) = queue.remove(at) else { break };
                self.scanner.probe(target, world)?;
                world.note_probe(self.address, target);
            }
            // The server may write the log a moment after the last visit.
            quiet_polls = if is_quiet && queue.is_empty() { quiet_polls + 1 } else { 0 };
            if quiet_polls == 3 {
                break;
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// The visitors in an access log: one address for each visit.
pub fn logged_visitors(path: &Path) -> Result<Vec<Ipv6Addr>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("read {}", path.display()))?,
    };
    Ok(text.lines().filter_map(address_of).collect())
}

/// The clients of chronyd. chronyd prints CSV, with the address in the first column.
fn clients(socket: &Path) -> Result<Vec<Ipv6Addr>> {
    let mut chronyc = paths::command("chronyc")?;
    let listed = process::output(chronyc.arg("-h").arg(socket).args(["-c", "-n", "clients"]))?.stdout;
    Ok(String::from_utf8_lossy(&listed).lines().filter_map(address_of).collect())
}

fn address_of(line: &str) -> Option<Ipv6Addr> {
    line.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn visitors_are_read_from_both_records() {
        let visitor = Some("2001:db8::1".parse().unwrap());
        assert_eq!(address_of("2001:db8::1,1,0,127,127,0,0,0,127,4294967295"), visitor);
        assert_eq!(address_of("2001:db8::1"), visitor);
        assert_eq!(address_of(""), None);
    }
}
