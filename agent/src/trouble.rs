//! A trouble that lasts, said once: for collectors, upstreams and receivers that fail again and again.
//!
//! Offline is normal, and a log lies on the card too: a line at every attempt would write more than the samples do.
//! A trouble is said when it begins, when its reason changes (but no more than once a minute), once an hour while it
//! lasts, and when it is over. How often it happened in between is what the counters are for.

use model::Mono;

/// How soon a trouble that lasts is said again, in milliseconds.
const AGAIN_MS: u64 = 3_600_000;
/// How soon another reason is said, in milliseconds.
const CHANGED_MS: u64 = 60_000;
const _: () = assert!(CHANGED_MS <= AGAIN_MS);

/// What was said of one thing that may fail.
#[derive(Debug, Default)]
pub struct Trouble {
    said: Option<(Mono, String)>,
}

impl Trouble {
    /// Notes a failure, and calls `say` if it is worth a line.
    pub fn fails(&mut self, now: Mono, reason: &str, say: impl FnOnce()) {
        let is_due = match &self.said {
            None => true,
            Some((at, said)) => {
                let pause_ms = if said == reason { AGAIN_MS } else { CHANGED_MS };
                now >= at.plus_ms(pause_ms)
            }
        };
        if is_due {
            say();
            self.said = Some((now, reason.to_owned()));
        }
    }

    /// Notes that it went well, and returns whether there was a trouble that is now over.
    pub fn heals(&mut self) -> bool {
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_lasts_is_said_once_an_hour() {
        let mut trouble = Trouble::default();
        let mut said = Vec::new();
        let mut at = |second: u64, reason: &str| {
            trouble.fails(Mono(second * 1_000), reason, || said.push((second, reason.to_owned())));
        };
        (0..7_300).step_by(15).for_each(|second| at(second, "refused"));
        assert_eq!(said, [(0, "refused"), (3_600, "refused"), (7_200, "refused")].map(|(s, r)| (s, r.to_owned())));
    }

    #[test]
    fn another_reason_is_said_after_a_minute_and_the_end_once() {
        let mut trouble = Trouble::default();
        let mut said = Vec::new();
        for (second, reason) in [(0, "refused"), (15, "timed out"), (30, "refused"), (60, "timed out"), (75, "refused")]
        {
            trouble.fails(Mono(second * 1_000), reason, || said.push(second));
        }
        assert_eq!(said, [0, 60]);
        assert!(trouble.heals() && !trouble.heals());
        trouble.fails(Mono(76_000), "refused", || said.push(76));
        assert_eq!(said, [0, 60, 76]);
    }
}
