//! `cargo xtask vm`: the sensor on other kernels, in guests under emulation. Files from Debian are cached below the
//! target directory.

pub mod apt;
mod guest;
mod image;
mod initramfs;
mod kernels;
mod modules;
mod programs;
mod qemu;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
        let mut row = Row { series: kernel.series, checks, results: Err("interrupted".to_owned()) };
        if !signals::stopped() {
            row.results = ground.run(kernel, &row.checks).map_err(|error| format!("{error:#}"));
        }
        ground.report(&row);
        row
    });
    print!("{}", table::table(&rows, CHECKS));
    let failed: Vec<&str> = rows.iter().filter(|row| !row.is_ok()).map(|row| row.series).collect();
    if !failed.is_empty() {
        bail!("checks failed on {}", failed.join(", "));
    }
    Ok(())
}

fn select(options: &Vm) -> Result<Vec<&'static Kernel>> {
    let known = KERNELS.iter().map(|kernel| kernel.series).collect::<Vec<_>>().join(", ");
    if let Some(name) = options.kernels.iter().find(|name| KERNELS.iter().all(|kernel| kernel.series != **name)) {
        bail!("no kernel {name}: choose of {known}");
    }
    if let Some(name) = options.check.iter().find(|name| !CHECKS.contains(&name.as_str())) {
        bail!("no check {name}: choose of {}", CHECKS.join(", "));
    }
    let is_wanted = |kernel: &&Kernel| options.kernels.is_empty() || options.kernels.iter().any(|n| n == kernel.series);
    Ok(KERNELS.iter().filter(is_wanted).collect())
}

fn is_wanted(options: &Vm, check: &str) -> bool {
    options.check.is_empty() || options.check.iter().any(|name| name == check)
}

/// Acts on as many kernels at once as there are processors: a guest takes one. Returns the results in order.
fn at_once<T: Send>(kernels: &[&'static Kernel], act: impl Fn(&'static Kernel) -> T + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = Mutex::new(kernels.iter().copied().enumerate());
    let done = Mutex::new(BTreeMap::new());
    let take = || lock(&next).next();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, kernel)) = take() {
                    let result = act(kernel);
                    lock(&done).insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parts that all guests share.
struct Ground {
    qemu: Qemu,
    /// For one thread at a time: the first query makes apt build its index.
    archive: Mutex<Apt>,
    programs: Programs,
    cache: PathBuf,
}

impl Ground {
    fn run(&self, kernel: &Kernel, checks: &[&str]) -> Result<guest::Results> {
        let image = image::fetch(kernel, &lock(&self.archive), &self.cache.join("kernels"))?;
        let mut files = self.programs.files(kernel);
        for module in &image.modules {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            files.add(&format!("/modules/{name}"), module)?;
        }
        let initramfs = self.cache.join(format!("{}.initramfs", kernel.series));
        files.write(&initramfs)?;
        let results = guest::run(&self.qemu, &image, &initramfs, checks, &self.console(kernel.series));
        fs::remove_file(&initramfs).with_context(|| format!("remove {}", initramfs.display()))?;
        results
    }

    fn console(&self, series: &str) -> PathBuf {
        self.cache.join(format!("{series}.log"))
    }

    /// Prints a guest's results while others still run.
    fn report(&self, row: &Row) {
        match &row.results {
            Ok(results) => {
                for outcome in &results.outcomes {
                    let word = if outcome.ok { "ok" } else { "FAILED" };
                    eprintln!("{} {} {word}: {}", row.series, outcome.check, outcome.message);
                }
                if !row.is_ok() {
                    eprintln!("{}: its console is in {}", row.series, self.console(row.series).display());
                }
            }
            Err(reason) => eprintln!("{}: {reason}", row.series),
        }
    }
}

/// The directories of libraries in an unpacked tree.
fn library_dirs(root: &Path) -> Vec<PathBuf> {
    ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir)).to_vec()
}
