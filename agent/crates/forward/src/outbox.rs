//! One upstream's way through the ring: which rows go next, the one frame in flight, and what became of it.
//!
//! The shell drives it in this order, which is what makes a restart exact:
//! 1. `poll` returns a frame. Its row range is now the *doubt* and part of `save()`.
//! 2. The shell puts `save()` into the store's cell and lets it reach the tail on tmpfs. **Only then** it sends. The
//!    same frame polled again after a failure needs no new save.
//! 3. `settle` with the outcome, then `save()` into the cell again; that one may wait for the next sync.
//!
//! After a kill between any two of these the receiver lacks nothing and sees at most the frame in doubt twice, as the
//! same bytes: its rows are read again by their ids. (A power cut may forget the acknowledgements of the last sync
//! interval; those rows go again in frames that may be cut elsewhere.) The bytes are promised for the same
//! configuration and rows that are still there; a change is counted in `changed_frames`. While the shell lives, the
//! body of the frame in doubt is kept, so that it outlives even its rows. That body, one read of rows and the
//! packer's buffers are all the memory there is, however long an outage lasts.

use model::{Frame, FrameId, Mono, Now, Outbox, Outcome, RowId, Tail, TailRow};

use crate::acks::{Acks, Doubt, Span, digest};
use crate::backoff::{Backoff, BackoffLimits};
use crate::stats::{Stats, Waiting};

/// How often one poll reads on when all it read was nothing to send; then it asks to be polled again at once.
pub const LOOKS_MAX: usize = 8;

/// The most bytes kept of what went wrong last.
pub const ERROR_BYTES_MAX: usize = 256;

/// Makes one frame's bytes of rows. The same rows must give the same bytes.
pub trait Packer {
    /// Appends the frame's bytes for as many of the leading rows as fit.
    fn pack(&mut self, rows: &[TailRow], body: &mut Vec<u8>) -> Packed;
}

/// What a packer made of the rows it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packed {
    /// How many leading rows are dealt with: packed, not selected, or left out.
    pub taken: usize,
    /// How many samples the frame carries; with none there is no frame.
    pub items: usize,
    /// How many of the rows taken were selected but cannot be carried.
    pub left_out: u64,
}

/// How frames are cut and repeated, whatever their format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The most rows read for one frame.
    pub frame_rows_max: usize,
    /// How long fewer rows than that wait for more, in milliseconds.
    pub linger_ms: u64,
    /// The pauses after failures.
    pub backoff: BackoffLimits,
}

/// The frame being sent or to be sent again.
struct Pending {
    id: FrameId,
    body: Vec<u8>,
    items: usize,
    sent: bool,
}

/// The state machine shared by all kinds of upstream.
pub struct Walk {
    pace: Pace,
    acks: Acks,
    backoff: Backoff,
    pending: Option<Pending>,
    frames: u64,
    not_before: Option<Mono>,
    gathering_since: Option<Mono>,
    newest: RowId,
    tail: Tail,
    stats: Stats,
}

impl Walk {
    /// Returns an upstream that goes on where `saved` left off. Without it, it starts at the oldest row there is.
    ///
    /// Bytes that are not a saved state are as good as none, and said so in [`Stats::last_error`].
    pub fn new(pace: Pace, saved: Option<&[u8]>, seed: u64) -> Walk {
        let pace = Pace { frame_rows_max: pace.frame_rows_max.clamp(1, u32::MAX as usize), ..pace };
        let restored = saved.map(Acks::restore);
        let mut stats = Stats::default();
        if restored == Some(None) {
            stats.last_error = Some("the saved acknowledgements are damaged: starting from the oldest row".to_owned());
        }
        Walk {
            pace,
            acks: restored.flatten().unwrap_or_default(),
            backoff: Backoff::new(pace.backoff, seed),
            pending: None,
            frames: 0,
            not_before: None,
            gathering_since: None,
            newest: RowId::default(),
            tail: Tail::default(),
            stats,
        }
    }

    /// Returns the state to be saved; see the head comment for when.
    pub fn save(&self) -> Vec<u8> {
        self.acks.save()
    }

    /// Returns the newest row that was ever part of a frame or acknowledged: rows up to here keep their dates.
    pub fn handed_out(&self) -> RowId {
        let in_doubt = self.acks.doubt.map_or(RowId::default(), |doubt| doubt.span.until);
        in_doubt.max(self.acks.acknowledged())
    }

    /// Returns the counters and the present state.
    pub fn stats(&self) -> Stats {
        let losses = self.acks.losses;
        let acknowledged = self.acks.acknowledged();
        Stats {
            refused_frames: losses.refused_frames,
            refused_rows: losses.refused_rows,
            overwritten_rows: losses.overwritten_rows,
            left_out_rows: losses.left_out_rows,
            in_flight_rows: self.pending.as_ref().map_or(0, |pending| pending.items as u64),
            behind_rows: rows_between(acknowledged, self.newest),
            acknowledged,
            ..self.stats.clone()
        }
    }

    /// As [`model::Uplink::next_deadline`].
    pub fn next_deadline(&self) -> Option<Mono> {
        self.not_before
    }

    /// As [`model::Uplink::poll`], with the format handed in.
    pub fn poll(&mut self, now: Now, source: &dyn Outbox, packer: &mut dyn Packer) -> Option<Frame> {
        self.newest = source.newest();
        if self.pending.as_ref().is_some_and(|pending| pending.sent) {
            return None;
        }
        let paused = matches!(self.stats.waiting, Waiting::Backoff | Waiting::Reading);
        if paused && self.not_before.is_some_and(|at| now.mono < at) {
            return None;
        }
        self.not_before = None;
        if self.pending.is_none() {
            self.pending = self.make(now, source, packer);
        }
        let pending = self.pending.as_mut()?;
        pending.sent = true;
        let frame = Frame { id: pending.id, body: pending.body.clone(), items: pending.items };
        self.wait(now, Waiting::InFlight, None);
        Some(frame)
    }

    /// As [`model::Uplink::settle`].
    pub fn settle(&mut self, now: Now, frame: FrameId, outcome: Outcome) {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.sent && pending.id == frame) else {
            return;
        };
        let (items, bytes) = (pending.items as u64, pending.body.len() as u64);
        match outcome {
            Outcome::Delivered => {
                self.stats.sent_frames += 1;
                self.stats.sent_rows += items;
                self.stats.sent_bytes += bytes;
                self.finish(now);
            }
            Outcome::Refused { reason } => {
                self.acks.losses.refused_frames += 1;
                self.acks.losses.refused_rows += items;
                self.fail(now, &reason);
                self.finish(now);
            }
            Outcome::Retry { reason, after_ms } => {
                pending.sent = false;
                self.stats.retries += 1;
                self.fail(now, &reason);
                let pause_ms = self.backoff.fail(after_ms);
                self.wait(now, Waiting::Backoff, Some(now.mono.plus_ms(pause_ms)));
            }
        }
    }

    /// Is told that the frame in flight was read with dates that do not hold any more, and was not sent: its rows are read
    /// again at the next poll.
    pub fn read_again(&mut self, now: Now) {
        self.pending = None;
        self.wait(now, Waiting::Ready, Some(now.mono));
    }

    /// The frame in flight has met its fate: its rows are dealt with.
    fn finish(&mut self, now: Now) {
        self.pending = None;
        self.backoff.reset();
        if let Some(doubt) = self.acks.doubt.take() {
            self.acks.add(doubt.span);
        }
        self.wait(now, Waiting::Ready, Some(now.mono));
    }

    /// Makes the frame in doubt again after a restart, or the next new one.
    fn make(&mut self, now: Now, source: &dyn Outbox, packer: &mut dyn Packer) -> Option<Pending> {
        let mut tail = std::mem::take(&mut self.tail);
        let mut made = None;
        for look in 0.. {
            if look == LOOKS_MAX {
                self.wait(now, Waiting::Ready, Some(now.mono));
                break;
            }
            let step = match self.acks.doubt {
                Some(doubt) => self.again(now, source, packer, &mut tail, doubt),
                None => self.next(now, source, packer, &mut tail),
            };
            match step {
                Step::Made(pending) => made = Some(pending),
                Step::ReadOn => continue,
                Step::Wait => {}
            }
            break;
        }
        // Label sets are not held on to between polls.
        tail.rows.clear();
        self.tail = tail;
        made
    }

    /// Reads the rows of the frame in doubt again, and nothing but those.
    fn again(&mut self, now: Now, source: &dyn Outbox, packer: &mut dyn Packer, tail: &mut Tail, doubt: Doubt) -> Step {
        let span = doubt.span;
        if let Err(error) = source.since(span.after, Some(span.until), (doubt.rows as usize).max(1), tail) {
            return self.unreadable(now, &error);
        }
        self.acks.losses.overwritten_rows += tail.overwritten.saturating_sub(doubt.overwritten);
        let overwritten = doubt.overwritten.max(tail.overwritten);
        let mut body = Vec::new();
        let packed = packer.pack(&tail.rows, &mut body);
        let until = if packed.taken < tail.rows.len() { last_taken(tail, packed, span.after) } else { span.until };
        let span = Span { after: span.after, until };
        if packed.items == 0 {
            self.acks.doubt = None;
            self.acks.add(span);
            self.stats.changed_frames += 1;
            return Step::ReadOn;
        }
        let bytes = digest(&body);
        self.stats.changed_frames += u64::from(bytes != doubt.digest);
        self.acks.doubt = Some(Doubt { span, rows: packed.taken as u32, overwritten, digest: bytes });
        Step::Made(self.pending(body, packed))
    }

    /// Looks at what comes after the acknowledged rows.
    fn next(&mut self, now: Now, source: &dyn Outbox, packer: &mut dyn Packer, tail: &mut Tail) -> Step {
        let (after, end) = self.acks.gap();
        if self.newest <= after {
            self.gathering_since = None;
            return self.stop(now, Waiting::NothingNew, None);
        }
        if rows_between(after, self.newest) < self.pace.frame_rows_max as u64 && self.pace.linger_ms > 0 {
            let since = *self.gathering_since.get_or_insert(now.mono);
            if now.mono.since_ms(since) < self.pace.linger_ms {
                return self.stop(now, Waiting::Gathering, Some(since.plus_ms(self.pace.linger_ms)));
            }
        }
        if let Err(error) = source.since(after, end, self.pace.frame_rows_max, tail) {
            return self.unreadable(now, &error);
        }
        if tail.until <= after {
            let waiting = if tail.undated { Waiting::Clock } else { Waiting::NothingNew };
            return self.stop(now, waiting, None);
        }
        let mut body = Vec::new();
        let mut packed = packer.pack(&tail.rows, &mut body);
        let mut until = tail.until;
        if packed.taken < tail.rows.len() {
            until = last_taken(tail, packed, after);
            if tail.overwritten > 0 {
                // Which of the lost rows lie before the cut only the source knows.
                if let Err(error) = source.since(after, Some(until), packed.taken.max(1), tail) {
                    return self.unreadable(now, &error);
                }
                body.clear();
                packed = packer.pack(&tail.rows, &mut body);
            }
        }
        self.take(Span { after, until }, tail.overwritten, packed, body)
    }

    /// Books what was read: as the frame in doubt, or, where nothing is to be sent, as acknowledged.
    fn take(&mut self, span: Span, overwritten: u64, packed: Packed, body: Vec<u8>) -> Step {
        if !self.acks.is_new() {
            // What was overwritten before the upstream existed was never owed to it.
            self.acks.losses.overwritten_rows += overwritten;
        }
        self.acks.losses.left_out_rows += packed.left_out;
        if packed.items == 0 {
            self.acks.add(span);
            return Step::ReadOn;
        }
        self.gathering_since = None;
        self.acks.doubt = Some(Doubt { span, rows: packed.taken as u32, overwritten, digest: digest(&body) });
        Step::Made(self.pending(body, packed))
    }

    fn pending(&mut self, body: Vec<u8>, packed: Packed) -> Pending {
        assert!(packed.items <= packed.taken, "a packer takes the rows it packs");
        self.frames += 1;
        Pending { id: FrameId(self.frames), body, items: packed.items, sent: false }
    }

    fn unreadable(&mut self, now: Now, error: &model::SelectError) -> Step {
        let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
        self.fail(now, &format!("{error}{cause}"));
        let pause_ms = self.backoff.fail(None);
        self.stop(now, Waiting::Reading, Some(now.mono.plus_ms(pause_ms)))
    }

    fn fail(&mut self, now: Now, reason: &str) {
        let cut = (0..=ERROR_BYTES_MAX.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        self.stats.last_error = Some(reason[..cut].to_owned());
        self.stats.last_error_at = now.mono;
    }

    fn stop(&mut self, now: Now, waiting: Waiting, until: Option<Mono>) -> Step {
        self.wait(now, waiting, until);
        Step::Wait
    }

    fn wait(&mut self, now: Now, waiting: Waiting, until: Option<Mono>) {
        if self.stats.waiting != waiting {
            self.stats.waiting = waiting;
            self.stats.waiting_since = now.mono;
        }
        self.not_before = until;
    }
}

/// What one look at the ring came to.
enum Step {
    Made(Pending),
    ReadOn,
    Wait,
}

/// Returns the last row that a packer dealt with.
fn last_taken(tail: &Tail, packed: Packed, after: RowId) -> RowId {
    packed.taken.checked_sub(1).and_then(|last| tail.rows.get(last)).map_or(after, |row| row.id)
}

/// Returns how many rows lie after one id up to another: exact within an opening, else the least it can be.
fn rows_between(after: RowId, newest: RowId) -> u64 {
    match newest.opening.cmp(&after.opening) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => newest.n.saturating_sub(after.n),
        std::cmp::Ordering::Greater => newest.n.saturating_add(1),
    }
}

#[cfg(test)]
mod tests;
