//! The first process of a guest with another kernel, which `cargo xtask vm` starts. It sets the guest up, runs the
//! checks that the kernel's command line names, and turns the guest off.
//!
//! Each check is a line on the console: `guest: NAME ok|failed MILLISECONDS MESSAGE`. The panic message of a failed
//! check comes before its line.

mod machine;
mod pppoe;
mod programs;
mod restart;
mod sit;
mod test_run;
mod vlan;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use std::{env, process};

/// Returns a message of a few words.
type Check = fn() -> String;

/// The checks by name; a panic is a failure, as in tests.
const CHECKS: &[(&str, Check)] = &[
    ("programs", programs::load),
    ("parser", test_run::parser),
    ("rules", test_run::rules),
    ("veth", wire::veth),
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
