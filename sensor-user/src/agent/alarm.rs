//! What the log says of loss and of silence: each once when it begins, and no more than once a minute.

use std::time::Duration;

use sensor_common::counters::Fate;
use sensor_common::wire::What;
use tokio::time::Instant;

use crate::datapath::Counters;

/// A household is not silent for so long: its devices ask for the time, for names, for news.
const SILENT_FOR: Duration = Duration::from_secs(3_600);
/// Between two lines about loss.
const PAUSE: Duration = Duration::from_secs(60);

/// Looks at counters, once a second or so.
#[derive(Debug)]
pub struct Alarm {
    lost: u64,
    told_loss: Option<Instant>,
    events: u64,
    heard: Instant,
    told_silence: bool,
}

impl Alarm {
    /// With the counters as an earlier life left them.
    #[must_use]
    pub fn new(counters: &Counters, now: Instant) -> Alarm {
        Alarm { lost: lost(counters), told_loss: None, events: 0, heard: now, told_silence: false }
    }

    /// A line, if events were lost since the last one.
    pub fn loss(&mut self, counters: &Counters, now: Instant) -> Option<String> {
        let lost = lost(counters) - self.lost.min(lost(counters));
        if lost == 0 || self.told_loss.is_some_and(|told| now - told < PAUSE) {
            return None;
        }
        (self.lost, self.told_loss) = (self.lost + lost, Some(now));
        Some(format!(
            "{lost} events are lost: the ring was full; the machine is too slow for what comes in, or kernel.ring_mib too small"
        ))
    }

    /// A line, if nothing was seen for an hour, and when that is over.
    pub fn silence(&mut self, events: u64, now: Instant) -> Option<String> {
        if events != self.events {
            (self.events, self.heard) = (events, now);
            return std::mem::take(&mut self.told_silence).then(|| "something is seen again".to_owned());
        }
        if self.told_silence || now - self.heard < SILENT_FOR {
            return None;
        }
        self.told_silence = true;
        Some(
            "no contact and no probe for an hour: wrong uplink, no IPv6, or nobody home; `tattler doctor` looks"
                .to_owned(),
        )
    }

    /// For how long nothing has been seen.
    #[must_use]
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
    fn loss_is_told_at_once_and_then_once_a_minute_and_never_twice() {
        let start = Instant::now();
        let mut alarm = Alarm::new(&counters(5), start);
        assert_eq!(alarm.loss(&counters(5), start), None, "an earlier life told it");
        assert!(alarm.loss(&counters(7), start).unwrap().starts_with("2 events are lost: the ring was full"));
        assert_eq!(alarm.loss(&counters(9), start + PAUSE / 2), None);
        assert!(alarm.loss(&counters(12), start + PAUSE).unwrap().starts_with("5 events"));
        assert_eq!(alarm.loss(&counters(12), start + PAUSE * 3), None);
        // Other maps, other counters.
        assert_eq!(alarm.loss(&counters(0), start + PAUSE * 4), None);
    }

    #[test]
    fn an_hour_of_silence_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let mut alarm = Alarm::new(&counters(0), start);
        assert_eq!(alarm.silence(0, start + SILENT_FOR / 2), None);
        assert_eq!(alarm.silence(1, start + SILENT_FOR / 2), None);
        assert_eq!(alarm.silence(1, start + SILENT_FOR), None, "not for an hour yet");
        assert!(alarm.silence(1, start + SILENT_FOR * 2).unwrap().contains("tattler doctor"));
        assert_eq!(alarm.silence(1, start + SILENT_FOR * 3), None);
        assert_eq!(alarm.silent_for(start + SILENT_FOR * 3), SILENT_FOR * 5 / 2);
        assert_eq!(alarm.silence(2, start + SILENT_FOR * 3).unwrap(), "something is seen again");
        assert_eq!(alarm.silence(2, start + SILENT_FOR * 3), None);
    }
}
