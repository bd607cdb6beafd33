//! The positions that a reading has reached in its inputs.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use tattler_core::time::Time;

use super::input::{Content, Format};
use super::text::Dialect;
use super::{Input, Position};

/// The positions of the inputs, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Reached(Vec<ReachedInput>);

#[derive(Debug)]
struct ReachedInput {
    /// The number of the input.
    index: usize,
    /// Number of items that an earlier reading has read.
    known: u64,
    position: Position,
}

impl Reached {
    /// Adds an input whose beginning is `start`.
    pub(super) fn begin(&mut self, index: usize, known: u64, start: Position) {
        self.0.push(ReachedInput { index, known, position: Position { items: known, ..start } });
    }

    /// Moves an input's position behind this number of items. Returns whether the input has a position.
    pub(super) fn advance(&mut self, index: usize, items: u64) -> bool {
        let Some(last) = self.0.last_mut().filter(|last| last.index == index) else { return false };
        last.position.items = items.max(last.known);
        true
    }

    /// The positions before `waiting`, the first line that was not yet handed on.
    pub(super) fn before(&self, waiting: Option<(usize, u64)>) -> Vec<Position> {
        let (waits, line) = waiting.unwrap_or((usize::MAX, 0));
        let reached = self.0.iter().filter(|reached| reached.index <= waits);
        let position = |&ReachedInput { index, known, position }: &ReachedInput| {
            if index == waits { Position { items: (line - 1).max(known), ..position } } else { position }
        };
        reached.map(position).collect()
    }

    /// The positions after all inputs were read. The position of JSON Lines is the beginning, for the next reading.
    pub(super) fn at_the_end(&self) -> Vec<Position> {
        let items = |position: Position| if position.head_length == 0 { 0 } else { position.items };
        self.0.iter().map(|&ReachedInput { position, .. }| Position { items: items(position), ..position }).collect()
    }
}

/// The beginning of an input, and the number of known items in the input. The beginning is `None` if no later reading
/// can recognize the input.
pub(super) fn start(input: &Input, content: &Content, known: &[Position]) -> (Option<Position>, u64) {
    if content.format != Format::Text(Dialect::JsonLines) {
        return (Some(Position::start(&content.head)), Position::known(known, &content.head));
    }
    let Some(meta) = input.metadata().filter(Metadata::is_file) else { return (None, 0) };
    let written = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let start = Position::start_of_whole(&content.head, meta.len(), Time(written.as_micros() as i64));
    (Some(start), start.known_of_whole(known))
}
