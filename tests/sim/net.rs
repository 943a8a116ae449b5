//! The network of a simulated board: one remote-write upstream, one receiver of notices, and weather.
//!
//! The receiving ends keep what they got and say what is wrong with it: a frame that was in doubt must come again
//! byte for byte, whatever happened in between (but for a power cut, which may forget what was in doubt).

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use forward::Uplink;
use forward::remote_write::{Config, uplink};
use model::{Frame, FrameId, Mono, Now, Outbox, Outcome, Uplink as _};
use narthex::core::Core;
use narthex::core::own::UpstreamState;
use notify::Notice;
use support::remote_write;

/// The cell that the upstream is saved in.
pub const CELL: &str = "remote_write/sim";

/// The upstream and the way to it.
pub struct Net {
    pub uplink: Option<Uplink>,
    pub is_up: bool,
    /// Rows received, by series, time and bits, and in how many different frames.
    pub received: HashMap<u64, u32>,
    /// When each collection came in, by the counter's first series: its value and the times it was given.
    pub seqs: BTreeMap<u64, Vec<i64>>,
    /// Different frames received, and how many came again.
    pub frames: u64,
    pub repeated: u64,
    bodies: HashMap<u64, ()>,
    /// The frame that may have been received and was not settled.
    doubt: Option<Vec<u8>>,
    is_woken: bool,
    is_flying: bool,
}

impl Net {
    pub fn new(has_upstream: bool, saved: Option<&[u8]>) -> Net {
        Net {
            uplink: has_upstream.then(|| uplink(config(), saved)),
            is_up: true,
            received: HashMap::new(),
            seqs: BTreeMap::new(),
            frames: 0,
            repeated: 0,
            bodies: HashMap::new(),
            doubt: None,
            is_woken: true,
            is_flying: false,
        }
    }

    /// The process is gone; what was in doubt is kept.
    pub fn killed(&mut self) {
        self.is_flying = false;
    }

    /// The power is gone; what was in doubt may be forgotten.
    pub fn power_cut(&mut self) {
        self.is_flying = false;
        self.doubt = None;
    }

    /// The process is there again.
    pub fn started(&mut self, saved: Option<&[u8]>) {
        self.uplink = self.uplink.take().map(|_| uplink(config(), saved));
        self.is_woken = true;
    }

    /// Returns whether a frame was sent of which nobody knows whether it came.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    pub fn wake(&mut self) {
        self.is_woken = true;
    }

    pub fn next_deadline(&self) -> Option<Mono> {
        if self.is_flying {
            return None;
        }
        let uplink = self.uplink.as_ref()?;
        if self.is_woken { Some(Mono(0)) } else { uplink.next_deadline() }
    }

    /// Lets core show how the upstream stands.
    pub fn show_to(&self, core: &mut Core) {
        let state =
            |uplink: &Uplink| UpstreamState { name: "sim".to_owned(), kind: "remote_write", stats: uplink.stats() };
        core.set_upstreams(self.uplink.iter().map(state).collect());
    }

    /// Returns a frame to be sent, and the state to be kept before.
    pub fn poll(&mut self, now: Now, source: &dyn Outbox) -> Option<(Frame, Vec<u8>)> {
        let uplink = self.uplink.as_mut()?;
        let is_due = self.is_woken || uplink.next_deadline().is_some_and(|at| at <= now.mono);
        if self.is_flying || !is_due {
            return None;
        }
        self.is_woken = false;
        let frame = uplink.poll(now, source)?;
        self.is_flying = true;
        Some((frame, uplink.save()))
    }

    /// Returns the state to be kept.
    pub fn settle(&mut self, now: Now, id: FrameId, outcome: Outcome) -> Option<Vec<u8>> {
        (self.is_flying, self.is_woken) = (false, true);
        if outcome == Outcome::Delivered {
            self.doubt = None;
        }
        let uplink = self.uplink.as_mut()?;
        uplink.settle(now, id, outcome);
        Some(uplink.save())
    }

    /// Sends a frame and returns what the sender will hear.
    pub fn send(&mut self, frame: &Frame, luck: u64) -> Result<Outcome, String> {
        if let Some(doubt) = &self.doubt
            && *doubt != frame.body
        {
            return Err(format!("a frame in doubt of {} bytes came again with {}", doubt.len(), frame.body.len()));
        }
        self.doubt = Some(frame.body.clone());
        let lost = Outcome::Retry { reason: "no answer".to_owned(), after_ms: None };
        // One in sixteen is lost on the way, another one's answer on the way back.
        if !self.is_up || luck.is_multiple_of(16) {
            return Ok(lost);
        }
        self.receive(&frame.body)?;
        Ok(if luck % 16 == 1 { lost } else { Outcome::Delivered })
    }

    fn receive(&mut self, body: &[u8]) -> Result<(), String> {
        if self.bodies.insert(hash(&body), ()).is_some() {
            self.repeated += 1;
            return Ok(());
        }
        self.frames += 1;
        for sample in remote_write::read(body)? {
            if sample.label("__name__") == "sim_seq" && sample.label("i") == "0" && !sample.is_stale() {
                self.seqs.entry(sample.value as u64).or_default().push(sample.at_ms);
            }
            let row = row(sample.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())), sample.at_ms, sample.value);
            *self.received.entry(row).or_default() += 1;
        }
        Ok(())
    }
}

/// Returns a row's fingerprint.
pub fn row<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, at_ms: i64, value: f64) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.for_each(|label| label.hash(&mut hasher));
    (at_ms, value.to_bits()).hash(&mut hasher);
    hasher.finish()
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn config() -> Config {
    Config { seed: 11, ..Config::default() }
}

/// Who is told of alerts.
pub struct Receiver {
    pub is_up: bool,
    /// When what came in: the world's time and the body.
    pub notices: Vec<(u64, String)>,
    /// How many came while it was down.
    pub missed: u64,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver { is_up: true, notices: Vec::new(), missed: 0 }
    }
}

impl Receiver {
    /// Takes a notice if it can.
    pub fn post(&mut self, at: u64, notice: &Notice) -> Outcome {
        if !self.is_up {
            self.missed += 1;
            return Outcome::Retry { reason: "nobody is there".to_owned(), after_ms: None };
        }
        self.notices.push((at, String::from_utf8_lossy(&notice.body).into_owned()));
        Outcome::Delivered
    }

    /// Returns when notices of this status came in.
    pub fn times(&self, status: &str) -> Vec<u64> {
        let status = format!("\"status\":\"{status}\",\"alerts\"");
        self.notices.iter().filter(|(_, body)| body.contains(&status)).map(|(at, _)| *at).collect()
    }
}
