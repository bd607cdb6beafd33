//! Answers to queries.

use std::sync::atomic::AtomicU64;

use serde::Serialize;
use serde_json::Value;
use tattler_core::ack::Ack;
use tattler_core::remote;
use tattler_core::report::ReportOptions;

use super::edits;
use super::status::{SensorStatus, status};
use crate::agent::state::Shared;
use crate::agent::{clock, suspects};
use crate::contract::Request;
use crate::query::{Context, MOST_THROUGH_SOCKET, from_store};
use crate::store::Reader;

/// Answers one query. An error is one line for the user.
pub fn answer(shared: &Shared, request: &Request) -> Result<Value, String> {
    match request {
        Request::Status { since: None, until: None } => value(&status(shared)),
        &Request::Status { since, until } => {
            let held =
                from_disk(shared, || from_store::holdings(&Reader::open(&shared.state)?, &shared.state, since, until))?;
            value(&SensorStatus { locals: held.locals, contacts: held.contacts, probes: held.probes, ..status(shared) })
        }
        Request::Suspects { top, since: None, until: None } => {
            let options = ReportOptions { top: top.unwrap_or(ReportOptions::default().top) };
            let mut report = suspects::now(shared).report(&options);
            report.mark_acked(&shared.acks(), clock::wall());
            let names = shared.names();
            report.candidates.iter_mut().for_each(|candidate| candidate.name(&names));
            value(&report)
        }
        Request::Forget { what } => value(&edits::forget(shared, what)?),
        Request::Ack { remote, until, note } => {
            let ack = Ack { remote: remote.trunc(), at: clock::wall(), until: *until, note: note.clone() };
            value(&edits::acknowledge(shared, ack)?)
        }
        Request::Unack { remote } => value(&edits::unacknowledge(shared, *remote)?),
        Request::Acks {} => value(&*shared.acks()),
        Request::Explain { remote, since: None, until: None } => {
            let remote = remote::parse(remote)?;
            let mut explanation = suspects::now(shared).explain(remote);
            explanation.name(&shared.names());
            value(&explanation)
        }
        // The rest is answered from the store, each time over a new connection.
        _ => {
            let _one_at_a_time = shared.reading();
            let (names, now, read) = (shared.names(), clock::wall(), AtomicU64::new(0));
            let context = Context { names: &names, now, most: MOST_THROUGH_SOCKET, read: &read };
            from_disk(shared, || from_store::answer(&shared.state, request, &context))
        }
    }
}

/// Reads from the store. Damage that is found makes the writer set the database aside.
fn from_disk<T>(shared: &Shared, read: impl FnOnce() -> Result<T, from_store::AnswerError>) -> Result<T, String> {
    let before = shared.store.damaged();
    read().map_err(|error| {
        if let (Some(why), Some(diary)) = (error.corruption(), &shared.changes) {
            diary.found_damage(before, why);
        }
        error.to_string()
    })
}

fn value(answer: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|error| format!("cannot write the answer: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tattler_core::ledger::{Ledger, LedgerSettings};

    use super::*;
    use crate::store::{Store, Writer};

    /// A sensor with two contacts and a probe in its store, and an empty ledger.
    fn sensor(dir: &std::path::Path) -> (Arc<Shared>, Writer) {
        let lines = [
            r#"{"type":"contact","ts":"2026-09-01T10:00:00Z","local":"2001:db8::1","remote":"3fff::1","proto":"tcp","port":443}"#,
            r#"{"type":"contact","ts":"2026-09-02T10:00:00Z","local":"2001:db8::1","remote":"3fff::2","proto":"tcp","port":443}"#,
            r#"{"type":"probe","ts":"2026-09-03T10:00:00Z","source":"3fff::3","target":"2001:db8::1","kind":"syn","port":22}"#,
        ];
        let rows = lines.map(|line| tattler_files::jsonl::parse(line.as_bytes()).unwrap());
        Store::open(dir).unwrap().append(&rows).unwrap();
        crate::agent::tests::shared(dir, Ledger::new(LedgerSettings::live()), None)
    }

    #[test]
    fn a_query_with_a_window_reads_the_store_and_one_without_reads_the_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let ask = |question: &str| answer(&shared, &serde_json::from_str(question).unwrap()).unwrap();
        let locals = |question: &str| ask(question)["locals"].clone();
        assert_eq!(locals(r#"{"query":"suspects"}"#), 0);
        assert_eq!(locals(r#"{"query":"suspects","since":"2026-09-01T00:00:00Z"}"#), 1);
        let status = ask(r#"{"query":"status","until":"2026-09-01T12:00:00Z"}"#);
        assert_eq!((&status["contacts"], &status["probes"]), (&1.into(), &0.into()));
        let evidence = ask(r#"{"query":"explain","remote":"3fff::1","since":"2026-09-01T00:00:00Z"}"#);
        assert_eq!(evidence["visits"][0]["probes"][0]["source"], "3fff::3");
    }
}
