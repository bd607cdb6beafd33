//! What is shown while a query takes long: a line on the terminal that goes away, nothing in a pipe.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::terminal;

/// What takes less is not worth a line.
const LONG: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_millis(250);

/// Shown until it is dropped.
pub(super) struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Says what is done, since when, and how many rows were read, if any are counted.
    pub(super) fn start(what: String, rows: Arc<AtomicU64>) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress { stop: None, thread: None };
        }
        let (stop, stopped) = channel();
        let show = move || {
            let begin = Instant::now();
            let mut wait = LONG;
            let mut shown = false;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                (wait, shown) = (STEP, true);
                let rows = match rows.load(Relaxed) {
                    0 => String::new(),
                    rows => format!(", {rows} rows"),
                };
                terminal::show("", &what, &format!(" … {} s{rows}", begin.elapsed().as_secs()));
            }
            if shown {
                terminal::wipe();
            }
        };
        // Without a thread there is no line, and the query goes on.
        let thread = thread::Builder::new().name("progress".into()).spawn(show).ok();
        Progress { stop: Some(stop), thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
