//! Tasks of Tattler's developers. Each verb installs the programs that it needs, so that a newcomer needs only two
//! verbs: `cargo xtask run` and `cargo xtask test`.

mod accuracy;
mod build;
#[cfg(test)]
mod deny;
mod fresh;
mod lab;
mod mounts;
mod paths;
mod process;
mod root;
mod run;
mod setup;
mod signals;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what building, the lab and the tests need (Debian, as root)
    Setup,
    /// Build the tattler binary with its kernel programs
    Build(build::Build),
    /// Build and run the sensor on the uplink, or in a lab of network namespaces (as root)
    Run(run::Run),
    /// Build, then run the tests (as root)
    Test(test::Test),
    /// Measure the accuracy of attribution on simulated homes
    Accuracy(accuracy::Accuracy),
    /// Run the sensor on other kernels, in guests under emulation
    Vm(vm::Vm),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup => setup::setup(setup::TESTS),
        Verb::Build(options) => build::build(&options).map(drop),
        Verb::Run(options) => run::run(&options),
        Verb::Test(options) => test::test(&options),
        Verb::Accuracy(options) => accuracy::accuracy(&options),
        Verb::Vm(options) => vm::vm(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
