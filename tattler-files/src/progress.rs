//! Reports the progress of a reading.

use std::fs::Metadata;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Input;
use super::input::Content;
use super::options::{ReadOptions, ReadProgress};

/// Number of lines or frames between two reports.
pub(super) const STEP: u64 = 1 << 14;

/// Reports the progress of one input.
pub(super) struct Reporter<'a> {
    name: &'a str,
    size: Option<u64>,
    read: Arc<AtomicU64>,
    report: Option<fn(&ReadProgress<'_>)>,
    finds_home: bool,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        name: &'a str,
        input: &Input,
        content: &Content,
        options: &ReadOptions,
        finds_home: bool,
    ) -> Reporter<'a> {
        let size = input.metadata().filter(Metadata::is_file).map(|meta| meta.len());
        Reporter { name, size, read: Arc::clone(&content.read), report: options.progress, finds_home }
    }

    pub(super) fn report(&self, items: u64) {
        if let Some(report) = self.report {
            let Reporter { name, size, finds_home, .. } = *self;
            report(&ReadProgress { name, read: self.read.load(Ordering::Relaxed), size, items, finds_home });
        }
    }
}
