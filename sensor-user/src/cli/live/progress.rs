//! Progress of a long query: a line on a terminal, nothing in a pipe.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::terminal;

/// Duration of a query before the line is shown.
const LONG: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_millis(250);

/// A progress line. Dropping the value removes the line.
pub(super) struct QueryProgress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl QueryProgress {
    /// Shows `what`, the time since the start, and the number of rows read so far. The number 0 is not shown.
    pub(super) fn start(what: String, rows: Arc<AtomicU64>) -> QueryProgress {
        if !io::stderr().is_terminal() {
            return QueryProgress { stop: None, thread: None };
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
        // If the thread can't be started, no line is shown.
        let thread = thread::Builder::new().name("progress".into()).spawn(show).ok();
        QueryProgress { stop: Some(stop), thread }
    }
}

impl Drop for QueryProgress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
