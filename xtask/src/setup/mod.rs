//! `cargo xtask setup`: lists missing programs, then installs them. It installs on Debian, as root. Otherwise it prints
//! the commands to run, and stops.

#[path = "../../../sensor-user/build/compiler.rs"]
#[allow(dead_code, reason = "sensor-user's build calls the rest")]
mod compiler;
mod debian;
mod linker;
pub mod programs;

use std::env;

use anyhow::{Context, Result, bail};

use crate::root;
use compiler::{Compiler, NIGHTLY};

/// Groups of programs, by the verb that needs them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The eBPF compiler and linker, and a C compiler for SQLite
    Build,
    /// Programs that find the uplink
    Run,
    /// The daemons and scanners of the lab
    Lab,
    /// The tests
    Test,
    /// Programs for guests with other kernels
    Guest,
    /// Programs for a bare Debian
    Fresh,
}

/// The groups that `cargo xtask test` needs.
pub const TESTS: &[Group] = &[Group::Build, Group::Run, Group::Lab, Group::Test];

/// Lists the missing programs of `groups` and installs them. Prints nothing if no program is missing.
pub fn setup(groups: &[Group]) -> Result<()> {
    let programs: Vec<_> = programs::missing(groups);
    let compiler = Compiler::find();
    // If TATTLER_EBPF_OBJECT names a compiled object of the kernel programs, no compiler is needed.
    let build = groups.contains(&Group::Build) && env::var_os("TATTLER_EBPF_OBJECT").is_none();
    let needs_compiler = build && compiler.is_none();
    if build && let Some(warning) = compiler.as_ref().and_then(Compiler::warning) {
        if env::var_os("CI").is_some() {
            bail!("{warning}; on CI the pin in sensor-user/build/compiler.rs must be right");
        }
        eprintln!("warning: {warning}");
    }
    let needs_linker = build && !compiler.as_ref().is_some_and(linker::is_there_for);
    if programs.is_empty() && !needs_compiler && !needs_linker {
        return Ok(());
    }

    eprintln!("missing:");
    for program in &programs {
        eprintln!("    {} ({})", program.name, program.what_for);
    }
    if needs_compiler {
        eprintln!("    a rustc with its sources (compiles the kernel programs)");
    }
    if needs_linker {
        eprintln!("    bpf-linker {} (links the kernel programs)", linker::VERSION);
    }
    if !debian::is_here() || !root::is_root() {
        advise(&programs, needs_compiler, needs_linker, compiler.as_ref());
        bail!("setup is not complete: run the commands above, then try again");
    }

    debian::install(&programs, needs_compiler)?;
    if needs_linker {
        let Some(compiler) = Compiler::find() else {
            bail!("no rustc with its sources, even after its packages were installed");
        };
        let llvm = compiler.llvm().with_context(|| format!("{} does not name its LLVM", compiler.name()))?;
        if !linker::llvm_dir(llvm).join("bin/llvm-config").is_file() {
            debian::apt_install(&[format!("llvm-{llvm}-dev")])?;
        }
        linker::install(llvm)?;
    }
    if let Some(program) = programs::missing(groups).first() {
        bail!("`{}` is still not on PATH after its package {} was installed", program.name, program.package);
    }
    eprintln!("setup is complete");
    Ok(())
}

/// Prints the commands to run on systems that setup does not change.
fn advise(programs: &[programs::Program], needs_compiler: bool, needs_linker: bool, compiler: Option<&Compiler>) {
    if debian::is_here() {
        eprintln!("as root:\n    sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask setup");
        return;
    }
    eprintln!("to install it here:");
    if !programs.is_empty() {
        let packages = programs::packages(programs).join(" ");
        eprintln!("    with the package manager, by their names in Debian: {packages}");
    }
    if needs_compiler {
        eprintln!("    rustup toolchain install {NIGHTLY} --component rust-src");
    }
    match compiler {
        Some(compiler) if needs_linker => {
            eprintln!("    {}", linker::command_line(compiler.llvm().unwrap_or_default()))
        }
        // The LLVM version is not known before rustc is installed.
        None if needs_linker => eprintln!("    cargo xtask setup, again, for bpf-linker"),
        _ => (),
    }
}
