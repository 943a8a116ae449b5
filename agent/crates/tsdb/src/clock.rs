//! Which epoch rows are read in: what becomes of the two clocks when they arrive in the store.
//!
//! The clock is untrusted: rows go to an epoch that is provisional. It is trusted for the first time: that epoch gets
//! its date, and so do all of the same boot; undated ones of earlier boots are placed. It was stepped: a new epoch
//! begins; where it was set back, rows that were not sent get the date it should have had. Elapsed time never notices.
//!
//! A provisional epoch begins behind the last known time, not at it: two rows of one series never share a time because
//! the board was started again.

use model::{Now, RowId, UnixMs};

use crate::epochs::{Dated, Epoch, Epochs, Heir};

/// What is to be changed in the table, and which epoch is in force.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub set: Vec<Epoch>,
}

/// Returns the changes that these readings of the clocks make; the newest epoch is in force afterwards.
pub(crate) fn settle(epochs: &Epochs, first: bool, boot: u64, known: i64, step_ms_min: u64, now: Now) -> Change {
    let mono = now.mono.0 as i64;
    let newest = epochs.newest().copied();
    let same_boot = |epoch: &Epoch| !first || (boot != 0 && epoch.boot == boot);
    let Some(epoch) = newest.filter(|epoch| same_boot(epoch)) else {
        let number = newest.map_or(1, |epoch| epoch.number + 1);
        let (dated, offset) =
            if now.wall_trusted { (Dated::Yes, now.wall.0 - mono) } else { (Dated::No, known + 1 - mono) };
        let mut set = if now.wall_trusted { placed(epochs, boot, offset) } else { Vec::new() };
        set.push(Epoch { number, dated, boot, offset, heir: None });
        return Change { set };
    };
    if !now.wall_trusted {
        return Change::default();
    }
    let offset = now.wall.0 - mono;
    if epoch.dated != Dated::Yes {
        let mut set = placed(epochs, boot, offset);
        set.retain(|other| other.number != epoch.number);
        set.push(Epoch { dated: Dated::Yes, offset, ..epoch });
        return Change { set };
    }
    if offset.abs_diff(epoch.offset) <= step_ms_min {
        return Change::default();
    }
    Change { set: vec![Epoch { number: epoch.number + 1, dated: Dated::Yes, boot, offset, heir: None }] }
}

/// Returns the epoch before the newest with another date for the rows behind `sent`, where the clock was set back
/// between the two.
pub(crate) fn redated(epochs: &Epochs, sent: RowId) -> Option<Epoch> {
    let [.., ended, newest] = epochs.all() else { return None };
    let was_set_back = (ended.boot, ended.dated) == (newest.boot, newest.dated) && newest.offset < ended.offset;
    let is_open = was_set_back && ended.heir.is_none() && newest.dated == Dated::Yes;
    is_open.then_some(Epoch { heir: Some(Heir { after: sent, offset: newest.offset }), ..*ended })
}

/// Returns the undated epochs, dated when they are of this boot and placed otherwise.
fn placed(epochs: &Epochs, boot: u64, offset: i64) -> Vec<Epoch> {
    let undated = epochs.all().iter().filter(|epoch| epoch.dated == Dated::No);
    undated
        .map(|epoch| {
            if boot != 0 && epoch.boot == boot {
                Epoch { dated: Dated::Yes, offset, ..*epoch }
            } else {
                Epoch { dated: Dated::Placed, ..*epoch }
            }
        })
        .collect()
}

/// Returns the wall time of an instant in an epoch.
pub(crate) fn wall(epoch: Option<&Epoch>, now: Now) -> UnixMs {
    epoch.map_or(now.wall, |epoch| UnixMs(epoch.wall(now.mono.0 as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Mono;

    fn now(mono: u64, wall: i64, wall_trusted: bool) -> Now {
        Now { mono: Mono(mono), wall: UnixMs(wall), wall_trusted }
    }

    #[test]
    fn the_table_follows_the_clock() {
        let mut epochs = Epochs::default();
        let mut step = |first, boot, now| {
            let change = settle(&epochs, first, boot, 1_000_000, 1_000, now);
            change.set.iter().for_each(|epoch| epochs.set(*epoch));
            (change.set.len(), epochs.newest().map(|e| (e.number, e.dated, e.offset)))
        };
        // A boot that is never trusted, and one that becomes it.
        assert_eq!(step(true, 7, now(500, 12, false)), (1, Some((1, Dated::No, 999_501))));
        assert_eq!(step(false, 7, now(900, 12, false)).0, 0);
        assert_eq!(step(true, 8, now(100, 12, false)), (1, Some((2, Dated::No, 999_901))));
        assert_eq!(step(false, 8, now(200, 5_000_200, true)), (2, Some((2, Dated::Yes, 5_000_000))));
        // Slewing is no step; a step either way is.
        assert_eq!(step(false, 8, now(300, 5_000_900, true)).0, 0);
        assert_eq!(step(false, 8, now(400, 9_000_400, true)), (1, Some((3, Dated::Yes, 9_000_000))));
        assert_eq!(step(false, 8, now(500, 4_000_500, true)), (1, Some((4, Dated::Yes, 4_000_000))));
        // Started again within the same boot: the same epoch goes on.
        assert_eq!(step(true, 8, now(600, 4_000_600, true)).0, 0);
        assert_eq!(epochs.get(1).map(|e| (e.dated, e.offset)), Some((Dated::Placed, 999_501)));
    }
}
