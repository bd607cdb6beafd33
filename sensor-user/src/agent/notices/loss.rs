//! Log lines about lost events (once a minute at most) and about an hour without events.

use std::time::Duration;

use sensor_common::counters::Fate;
use sensor_common::wire::What;
use tokio::time::Instant;

use crate::datapath::Counters;

/// A household is never silent for so long: its devices ask for the time, for names, for news.
const SILENT_FOR: Duration = Duration::from_secs(3_600);
/// Between two lines about loss.
const PAUSE: Duration = Duration::from_secs(60);

/// Compares the counters of now and before, once a second or so.
#[derive(Debug)]
pub struct LossNotices {
    lost: u64,
    said_loss: Option<Instant>,
    events: u64,
    heard: Instant,
    said_silence: bool,
}

impl LossNotices {
    /// With the counters as an earlier run left them.
    pub fn new(counters: &Counters, now: Instant) -> LossNotices {
        LossNotices { lost: lost(counters), said_loss: None, events: 0, heard: now, said_silence: false }
    }

    /// A line, if events were lost since the last one.
    pub fn loss(&mut self, counters: &Counters, now: Instant) -> Option<String> {
        let lost = lost(counters) - self.lost.min(lost(counters));
        if lost == 0 || self.said_loss.is_some_and(|said| now - said < PAUSE) {
            return None;
        }
        (self.lost, self.said_loss) = (self.lost + lost, Some(now));
        Some(format!(
            "{lost} events are lost: the ring was full; this machine is too slow, or kernel.ring_mib too small"
        ))
    }

    /// A line when nothing was seen for an hour, and when events arrive again.
    pub fn silence(&mut self, events: u64, now: Instant) -> Option<String> {
        if events != self.events {
            (self.events, self.heard) = (events, now);
            return std::mem::take(&mut self.said_silence).then(|| "events arrive again".to_owned());
        }
        if self.said_silence || now - self.heard < SILENT_FOR {
            return None;
        }
        self.said_silence = true;
        Some(
            "no contact and no probe for an hour: wrong uplink, no IPv6, or nobody home; `tattler doctor` checks that"
                .to_owned(),
        )
    }

    /// For how long nothing has been seen.
    pub fn silent_for(&self, now: Instant) -> Duration {
        now - self.heard
    }
}

fn lost(counters: &Counters) -> u64 {
    What::ALL.iter().map(|&what| counters.fate(what, Fate::Lost)).sum()
}

#[cfg(test)]
mod tests {
    use sensor_common::counters::{COUNTERS, fate};

    use super::*;

    fn counters(lost: u64) -> Counters {
        let mut all = [0; COUNTERS as usize];
        all[fate(What::Probe, Fate::Lost) as usize] = lost;
        all[fate(What::Probe, Fate::Recorded) as usize] = 1_000;
        Counters::from(all)
    }

    #[test]
    fn loss_is_logged_at_once_and_then_once_a_minute() {
        let start = Instant::now();
        let mut notices = LossNotices::new(&counters(5), start);
        assert_eq!(notices.loss(&counters(5), start), None, "an earlier run logged it");
        assert!(notices.loss(&counters(7), start).unwrap().starts_with("2 events are lost: the ring was full"));
        assert_eq!(notices.loss(&counters(9), start + PAUSE / 2), None);
        assert!(notices.loss(&counters(12), start + PAUSE).unwrap().starts_with("5 events"));
        assert_eq!(notices.loss(&counters(12), start + PAUSE * 3), None);
        // Other maps, other counters.
        assert_eq!(notices.loss(&counters(0), start + PAUSE * 4), None);
    }

    #[test]
    fn an_hour_of_silence_and_its_end_are_logged_once() {
        let start = Instant::now();
        let mut notices = LossNotices::new(&counters(0), start);
        assert_eq!(notices.silence(0, start + SILENT_FOR / 2), None);
        assert_eq!(notices.silence(1, start + SILENT_FOR / 2), None);
        assert_eq!(notices.silence(1, start + SILENT_FOR), None, "not for an hour yet");
        assert!(notices.silence(1, start + SILENT_FOR * 2).unwrap().contains("tattler doctor"));
        assert_eq!(notices.silence(1, start + SILENT_FOR * 3), None);
        assert_eq!(notices.silent_for(start + SILENT_FOR * 3), SILENT_FOR * 5 / 2);
        assert_eq!(notices.silence(2, start + SILENT_FOR * 3).unwrap(), "events arrive again");
        assert_eq!(notices.silence(2, start + SILENT_FOR * 3), None);
    }
}
