//! Which requests are answered by the thread that read them, without waiting for a turn of another.
//!
//! To hand a request over and take its answer back wakes two threads, which costs more than most queries of a dashboard
//! do. So what was answered within `QUICK_NS_MAX` is tried at once when it is asked again, whatever times it is asked
//! for: so many kinds of requests are remembered, by a hash. The trial ends after `AT_ONCE_NS_MAX`, or where it would
//! have to wait for the medium or read much of it (`tsdb::Reader::at_hand`); then it is begun anew where waiting
//! harms nobody, and that kind is not tried again until it was quick there `OWED_AFTER_FAILURE` times.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Request;

/// What takes no longer is quick, in nanoseconds.
pub const QUICK_NS_MAX: u64 = 1_000_000;
/// How long others may wait for the trial of one request, in nanoseconds.
pub const AT_ONCE_NS_MAX: u64 = 2 * QUICK_NS_MAX;
/// How often a kind whose trial failed must be quick elsewhere before it is tried again.
const OWED_AFTER_FAILURE: u64 = 32;
/// How many kinds of requests are remembered.
const KINDS: usize = 64;
/// What is longer is never tried: reading it is work too.
const ASKED_BYTES_MAX: usize = 4 << 10;
/// Parameters that say which time is asked about, not what: those of a dashboard move on.
const TIMES: [&str; 3] = ["start=", "end=", "time="];

/// What is remembered: of each kind its hash, and above it how many quick answers it owes.
pub struct Quick([AtomicU64; KINDS]);

impl Default for Quick {
    fn default() -> Quick {
        Quick([const { AtomicU64::new(0) }; KINDS])
    }
}

impl Quick {
    /// Returns what kind a request is of; `None` where it is never tried: what does not only read what is stored.
    pub fn kind(request: &Request, is_packed: bool) -> Option<u32> {
        let path = request.path.strip_prefix("/api/v1/")?;
        if !matches!(path, "query" | "query_range" | "series" | "labels") && !path.starts_with("label/") {
            return None;
        }
        if request.query.len() + request.body.len() > ASKED_BYTES_MAX {
            return None;
        }
        let mut hash = 0x811c_9dc5 ^ u32::from(is_packed);
        let mut add = |bytes: &[u8]| {
            bytes.iter().for_each(|byte| hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        };
        add(path.as_bytes());
        let asked = request.query.as_bytes().split(|byte| *byte == b'&');
        for part in asked.chain(request.body.split(|byte| *byte == b'&')) {
            if !TIMES.iter().any(|time| part.starts_with(time.as_bytes())) {
                add(b"&");
                add(part);
            }
        }
        Some(hash.max(1))
    }

    /// Returns whether requests of this kind were quick the last time, and owe nothing.
    pub fn is_quick(&self, kind: u32) -> bool {
        self.place(kind).load(Ordering::Relaxed) == u64::from(kind)
    }

    /// Notes how long an answer took, in nanoseconds.
    pub fn took(&self, kind: u32, ns: u64) {
        let place = self.place(kind);
        let had = place.load(Ordering::Relaxed);
        let (is_known, owed) = (had as u32 == kind, had >> 32);
        if ns <= QUICK_NS_MAX {
            let owed = if is_known { owed.saturating_sub(1) } else { 0 };
            place.store(owed << 32 | u64::from(kind), Ordering::Relaxed);
        } else if is_known && owed == 0 {
            place.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that a trial came to no end.
    pub fn failed(&self, kind: u32) {
        self.place(kind).store(OWED_AFTER_FAILURE << 32 | u64::from(kind), Ordering::Relaxed);
    }

    fn place(&self, kind: u32) -> &AtomicU64 {
        &self.0[kind as usize % KINDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(target: &str) -> Option<u32> {
        Quick::kind(&Request::new("GET", target), false)
    }

    #[test]
    fn what_reads_is_of_a_kind_whatever_time_it_is_asked_for() {
        let one = kind("/api/v1/query_range?query=up&start=1&end=2&step=15");
        assert!(one.is_some());
        assert_eq!(kind("/api/v1/query_range?query=up&start=15&end=2.5&step=15"), one);
        for other in ["query=up&start=1&end=2&step=1", "query=x&start=1&end=2&step=15", "query=u&p&step=15"] {
            assert_ne!(kind(&format!("/api/v1/query_range?{other}")), one, "{other}");
        }
        assert_ne!(kind("/api/v1/query?query=up&start=1&end=2&step=15"), one);
        let form = |body: &str| Request { body: body.into(), ..Request::new("POST", "/api/v1/query") };
        assert_eq!(Quick::kind(&form("query=up&time=3"), false), Quick::kind(&form("query=up&time=4"), false));
        assert_ne!(Quick::kind(&form("query=up"), false), Quick::kind(&form("query=x"), false));
        assert_ne!(Quick::kind(&form("query=up"), false), Quick::kind(&form("query=up"), true));
        for path in ["write", "status/tsdb", "rules", "targets/metadata", "query_exemplars", "admin/tsdb/snapshot"] {
            assert_eq!(kind(&format!("/api/v1/{path}")), None, "{path}");
        }
        assert_eq!((kind("/federate"), kind("/metrics"), kind("/")), (None, None, None));
        assert!(kind("/api/v1/label/job/values").is_some());
        let long = |bytes: usize| kind(&format!("/api/v1/query?query={}", "x".repeat(bytes - "query=".len())));
        assert!(long(ASKED_BYTES_MAX).is_some() && long(ASKED_BYTES_MAX + 1).is_none());
    }

    #[test]
    fn what_was_quick_is_tried_until_it_is_not() {
        let (quick, kind) = (Quick::default(), 7);
        assert!(!quick.is_quick(kind));
        quick.took(kind, QUICK_NS_MAX);
        assert!(quick.is_quick(kind) && !quick.is_quick(kind + KINDS as u32));
        quick.took(kind + KINDS as u32, QUICK_NS_MAX + 1);
        assert!(quick.is_quick(kind));
        quick.took(kind, QUICK_NS_MAX + 1);
        assert!(!quick.is_quick(kind));
        quick.took(kind, 0);
        quick.took(kind + KINDS as u32, 0);
        assert!(!quick.is_quick(kind));
    }

    /// What is quick where it may wait, and fails where it may not, is not begun twice each time.
    #[test]
    fn what_failed_is_not_tried_for_a_while() {
        let (quick, kind) = (Quick::default(), 7);
        quick.took(kind, 0);
        quick.failed(kind);
        for at in 0..OWED_AFTER_FAILURE {
            assert!(!quick.is_quick(kind), "after {at}");
            quick.took(kind, 0);
            quick.took(kind, QUICK_NS_MAX + 1);
        }
        assert!(!quick.is_quick(kind), "the last was slow");
        quick.took(kind, 0);
        assert!(quick.is_quick(kind));
        quick.failed(kind);
        quick.took(kind + KINDS as u32, 0);
        assert!(quick.is_quick(kind + KINDS as u32), "another owes nothing");
    }
}
