//! Edge events as the kernel writes them, and counters that notice those it had no room for.
//!
//! ```text
//! struct gpio_v2_line_event, 48 bytes in the machine's own byte order:
//! timestamp_ns u64 | id u32 (1 rising, 2 falling) | offset u32 | seqno u32 | line_seqno u32 | padding u32[6]
//! ```
//!
//! `line_seqno` grows by one with each edge of a line, from 1 on, also when the kernel throws an event away because
//! its buffer is full: a gap is a number of dropped edges. It wraps around at 2^32.

/// The size of an event.
pub const EVENT_BYTES: usize = 48;

/// A direction of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// From inactive to active.
    Rising,
    /// From active to inactive.
    Falling,
}

/// One event, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which way; `None` for a kind that no kernel knew when this was written.
    pub edge: Option<Edge>,
    /// Its number among the line's events.
    pub line_seqno: u32,
}

/// Returns the events in these bytes; a torn one at the end is left out.
pub fn events(bytes: &[u8]) -> impl Iterator<Item = Event> {
    bytes.chunks_exact(EVENT_BYTES).map(|event| {
        let word = |at: usize| u32::from_ne_bytes([event[at], event[at + 1], event[at + 2], event[at + 3]]);
        let edge = match word(8) {
            1 => Some(Edge::Rising),
            2 => Some(Edge::Falling),
            _ => None,
        };
        Event { edge, line_seqno: word(20) }
    })
}

/// How many edges of one line there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeCounts {
    rising: u64,
    falling: u64,
    dropped: u64,
    last_seqno: u32,
}

impl EdgeCounts {
    /// Counts an event, and those dropped between it and the one before.
    pub fn count(&mut self, event: Event) {
        let gap = event.line_seqno.wrapping_sub(self.last_seqno);
        // A number that runs backwards would be a kernel's mistake; it must not count as four thousand million edges.
        if (1..=i32::MAX as u32).contains(&gap) {
            self.dropped += u64::from(gap - 1);
            self.last_seqno = event.line_seqno;
        }
        match event.edge {
            Some(Edge::Rising) => self.rising += 1,
            Some(Edge::Falling) => self.falling += 1,
            None => self.dropped += 1,
        }
    }

    /// Returns how many edges of a direction were read.
    pub fn of(&self, edge: Edge) -> u64 {
        match edge {
            Edge::Rising => self.rising,
            Edge::Falling => self.falling,
        }
    }

    /// Returns how many edges there were whose event was never read.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many edges there were in all.
    pub fn seen(&self) -> u64 {
        self.rising + self.falling + self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(id: u32, line_seqno: u32) -> [u8; EVENT_BYTES] {
        let mut event = [0xa5; EVENT_BYTES];
        event[8..12].copy_from_slice(&id.to_ne_bytes());
        event[20..24].copy_from_slice(&line_seqno.to_ne_bytes());
        event
    }

    fn counted(list: &[(u32, u32)]) -> (u64, u64, u64) {
        let mut counts = EdgeCounts::default();
        let all: Vec<u8> = list.iter().flat_map(|(id, seqno)| bytes(*id, *seqno)).collect();
        events(&all).for_each(|event| counts.count(event));
        assert_eq!(counts.seen(), counts.of(Edge::Rising) + counts.of(Edge::Falling) + counts.dropped());
        (counts.of(Edge::Rising), counts.of(Edge::Falling), counts.dropped())
    }

    #[test]
    fn edges_are_counted_by_direction() {
        assert_eq!(counted(&[(1, 1), (2, 2), (1, 3)]), (2, 1, 0));
        assert_eq!(counted(&[]), (0, 0, 0));
    }

    #[test]
    fn gaps_in_the_numbers_are_dropped_edges() {
        assert_eq!(counted(&[(1, 3), (2, 4), (1, 10)]), (2, 1, 7));
        assert_eq!(counted(&[(9, 1)]), (0, 0, 1));
    }

    #[test]
    fn numbers_wrap_around_and_never_run_backwards() {
        let mut counts = EdgeCounts { last_seqno: u32::MAX - 1, ..EdgeCounts::default() };
        for line_seqno in [u32::MAX, 0, 2] {
            counts.count(Event { edge: Some(Edge::Rising), line_seqno });
        }
        assert_eq!((counts.rising, counts.dropped), (3, 1));
        assert_eq!(counted(&[(1, 5), (1, 4)]), (2, 0, 4));
    }

    #[test]
    fn a_torn_event_is_left_out() {
        let mut all = bytes(1, 1).to_vec();
        all.extend(&bytes(2, 2)[..47]);
        assert_eq!(events(&all).count(), 1);
    }
}
