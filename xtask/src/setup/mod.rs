//! `cargo xtask setup`: what is missing is named, then installed.
//!
//! It installs on Debian, with root. Elsewhere it prints the commands to type and stops.

mod compiler;
mod debian;
mod linker;
pub mod programs;

use std::env;

use anyhow::{Result, bail};

use crate::root;
use compiler::Compiler;

/// What a verb needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The eBPF compiler and linker, and a C compiler for SQLite
    Build,
    /// What finds the uplink
    Run,
    /// The daemons and scanners of the lab
    Lab,
    /// What the tests need on top
    Test,
    /// What goes into guests with other kernels, and unpacks those
    Guest,
    /// What makes a bare Debian
    Fresh,
}

/// What `cargo xtask test` needs.
pub const TESTS: &[Group] = &[Group::Build, Group::Run, Group::Lab, Group::Test];

/// Finds what is missing for `groups`, names it and installs it. Says nothing if nothing is.
pub fn setup(groups: &[Group]) -> Result<()> {
    let programs: Vec<_> = programs::missing(groups);
    let compiler = Compiler::find()?;
    // A ready object of the kernel programs needs no compiler.
    let build = groups.contains(&Group::Build) && env::var_os("TATTLER_EBPF_OBJECT").is_none();
    let needs_compiler = build && compiler.is_none();
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
        bail!("set-up is not complete: run what is said above, then this again");
    }

    debian::install(&programs, needs_compiler)?;
    if needs_linker {
        let Some(compiler) = Compiler::find()? else {
            bail!("no rustc with its sources, even after its packages were installed");
        };
        let llvm = compiler.llvm;
        let llvm_dir = linker::llvm_dir(llvm);
        if !llvm_dir.join("bin/llvm-config").is_file() {
            debian::apt_install(&[format!("llvm-{llvm}-dev")])?;
        }
        linker::install(llvm)?;
    }
    if let Some(program) = programs::missing(groups).first() {
        bail!("`{}` is still not on PATH after its package {} was installed", program.name, program.package);
    }
    eprintln!("set-up is complete");
    Ok(())
}

/// The commands for systems that are not ours to change.
fn advise(programs: &[&programs::Program], needs_compiler: bool, needs_linker: bool, compiler: Option<&Compiler>) {
    if debian::is_here() {
        eprintln!("as root:\n    sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask setup");
        return;
    }
    eprintln!("to install it here:");
    if !programs.is_empty() {
        let packages = programs::packages(programs).join(" ");
        eprintln!("    with the package manager, what Debian calls: {packages}");
    }
    if needs_compiler {
        eprintln!("    rustup toolchain install nightly --component rust-src");
    }
    match compiler {
        Some(compiler) if needs_linker => eprintln!("    {}", linker::command_line(compiler.llvm)),
        // Which LLVM it must fit is known once that rustc is here.
        None if needs_linker => eprintln!("    cargo xtask setup, again, for bpf-linker"),
        _ => (),
    }
}
