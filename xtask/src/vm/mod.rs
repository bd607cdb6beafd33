//! `cargo xtask vm`: the sensor on other kernels, in guests under emulation.
//!
//! # Layout
//! - [`kernels`]: the kernels, and the checks on each
//! - [`apt`], [`image`], [`modules`], [`qemu`]: files from Debian, cached below the target directory
//! - [`programs`], [`initramfs`]: the files of a guest
//! - [`guest`]: one guest from its start to its end
//! - [`table`]: how it went

pub mod apt;
mod guest;
mod image;
mod initramfs;
mod kernels;
mod modules;
mod programs;
mod qemu;
mod table;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{paths, setup, signals};
use apt::Apt;
use kernels::{CHECKS, KERNELS, Kernel, SUITES};
#[cfg(test)]
pub use programs::PPP_PROGRAMS;
use programs::Programs;
use qemu::Qemu;
use table::Row;

#[derive(Args)]
pub struct Vm {
    /// Kernels by their series, as 6.1 [default: all]
    kernels: Vec<String>,
    /// Only this check; may be given more than once
    #[arg(long, value_name = "NAME")]
    check: Vec<String>,
}

pub fn vm(options: &Vm) -> Result<()> {
    let kernels = select(options)?;
    apt::require()?;
    setup::setup(&[setup::TESTS, &[setup::Group::Guest]].concat())?;
    let binaries = programs::build()?;

    let cache = paths::target().join("vm");
    let system = Apt::of_system(cache.join("system"))?;
    let archive = Apt::of_suites(cache.join("archive"), SUITES, &system)?;
    let qemu = Qemu::find(&system, &cache)?;
    let programs = Programs::gather(&binaries, &system, &cache)?;
    signals::catch()?;
    let ground = Ground { qemu, archive: Mutex::new(archive), programs, cache };
    let rows = at_once(&kernels, |kernel| {
        let checks = kernel.checks().filter(|check| is_wanted(options, check)).collect();
        let mut row = Row { series: kernel.series, checks, told: Err("interrupted".to_owned()) };
        if !signals::stopped() {
            row.told = ground.run(kernel, &row.checks).map_err(|error| format!("{error:#}"));
        }
        ground.report(&row);
        row
    });
    print!("{}", table::table(&rows, CHECKS));
    match rows.iter().filter(|row| !row.is_ok()).map(|row| row.series).collect::<Vec<_>>() {
        failed if failed.is_empty() => Ok(()),
        failed => bail!("checks failed on {}", failed.join(", ")),
    }
}

fn select(options: &Vm) -> Result<Vec<&'static Kernel>> {
    let known = KERNELS.iter().map(|kernel| kernel.series).collect::<Vec<_>>().join(", ");
    if let Some(name) = options.kernels.iter().find(|name| KERNELS.iter().all(|kernel| kernel.series != **name)) {
        bail!("no kernel {name} here: there are {known}");
    }
    if let Some(name) = options.check.iter().find(|name| !CHECKS.contains(&name.as_str())) {
        bail!("no check {name} here: there are {}", CHECKS.join(", "));
    }
    let is_wanted = |kernel: &&Kernel| options.kernels.is_empty() || options.kernels.iter().any(|n| n == kernel.series);
    Ok(KERNELS.iter().filter(is_wanted).collect())
}

fn is_wanted(options: &Vm, check: &str) -> bool {
    options.check.is_empty() || options.check.iter().any(|name| name == check)
}

/// Guests take one processor each: as many as there are run at once.
fn at_once<T: Send>(kernels: &[&'static Kernel], act: impl Fn(&'static Kernel) -> T + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(kernels.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, kernel)) = Some(next.fetch_add(1, Relaxed)).and_then(|at| Some((at, *kernels.get(at)?))) {
            done.push((at, act(kernel)));
        }
        done
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}

/// The parts that all guests share.
struct Ground {
    qemu: Qemu,
    /// One at a time: apt builds its index when it is first asked.
    archive: Mutex<Apt>,
    programs: Programs,
    cache: PathBuf,
}

impl Ground {
    fn run(&self, kernel: &Kernel, checks: &[&str]) -> Result<guest::Told> {
        let image = {
            let archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            image::fetch(kernel, &archive, &self.cache.join("kernels"))?
        };
        let mut files = self.programs.files(kernel);
        for module in &image.modules {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            files.add(&format!("/modules/{name}"), module)?;
        }
        let initramfs = self.cache.join(format!("{}.initramfs", kernel.series));
        files.write(&initramfs)?;
        let told = guest::run(&self.qemu, &image, &initramfs, checks, &self.console(kernel.series));
        fs::remove_file(&initramfs).with_context(|| format!("remove {}", initramfs.display()))?;
        told
    }

    fn console(&self, series: &str) -> PathBuf {
        self.cache.join(format!("{series}.log"))
    }

    /// Says how a guest went while others follow.
    fn report(&self, row: &Row) {
        match &row.told {
            Ok(told) => {
                for outcome in &told.outcomes {
                    let word = if outcome.ok { "ok" } else { "FAILED" };
                    eprintln!("{} {} {word}: {}", row.series, outcome.check, outcome.said);
                }
                if !row.is_ok() {
                    eprintln!("{}: its console is in {}", row.series, self.console(row.series).display());
                }
            }
            Err(reason) => eprintln!("{}: {reason}", row.series),
        }
    }
}

/// Where an unpacked tree has libraries.
fn library_dirs(root: &Path) -> Vec<PathBuf> {
    ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir)).to_vec()
}
