//! The first process of a guest with another kernel: sets it up, runs the checks that the kernel's
//! command line names, says how they went, and turns the guest off. Started by `cargo xtask vm`.
//!
//! One line for each check on the console: `guest: NAME ok|failed MILLISECONDS WHAT`. What a check
//! that failed has to say comes before its line.
//!
//! # Layout
//! - [`machine`]: file systems, modules, and the end
//! - [`wire`]: traffic through a home's uplink, and what the sensor must have made of it
//! - [`programs`], [`test_run`], [`veth`], [`restart`], [`vlan`], [`sit`], [`pppoe`]: the checks

mod machine;
mod pppoe;
mod programs;
mod restart;
mod sit;
mod test_run;
mod veth;
mod vlan;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use std::{env, process};

/// What a check has to say of its success, in a few words.
type Said = String;
type Check = fn() -> Said;

/// The checks by name; a panic is a failure, as in tests.
const CHECKS: &[(&str, Check)] = &[
    ("programs", programs::load),
    ("parser", test_run::parser),
    ("rules", test_run::rules),
    ("veth", veth::probe_is_seen),
    ("restart", restart::killed_and_adopted),
    ("vlan", vlan::tagged_uplink),
    ("trunk", vlan::tagged_frames_on_the_parent),
    ("6in4", sit::tunnel),
    ("pppoe", pppoe::session),
    ("pppoe-eth", pppoe::frames_on_the_parent),
];

fn main() {
    if process::id() != 1 {
        eprintln!("this is the first process of a guest; `cargo xtask vm` starts it");
        process::exit(2);
    }
    machine::set_up();
    println!("guest: linux {}", machine::release());
    for wanted in env::args().skip(1) {
        let Some((name, check)) = CHECKS.iter().find(|(name, _)| *name == wanted) else {
            println!("guest: {wanted} failed 0 no such check");
            continue;
        };
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(check));
        let took = started.elapsed().as_millis();
        match done {
            Ok(said) => println!("guest: {name} ok {took} {said}"),
            Err(panic) => println!("guest: {name} failed {took} {}", first_line(&*panic)),
        }
    }
    println!("guest: end");
    machine::turn_off();
}

fn first_line(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    text.lines().next().unwrap_or_default()
}
