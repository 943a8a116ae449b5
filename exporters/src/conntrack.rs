//! `node_nf_conntrack_*`: entries of the connection tracking table, its limit, and what became of packets.
//!
//! ```text
//! nf_conntrack_count  17        <- /proc/sys/net/netfilter, Raspberry Pi 4, kernel 6.6
//! nf_conntrack_max    65536
//! entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop ...
//! 00000021 00000000 00000000 00000000 00000003 0000588a 00000000 ...    <- /proc/net/stat/nf_conntrack, a line a CPU
//! ```
//!
//! As with the peer, a board that lacks the count tracks nothing, and one that lacks the statistics (most do now)
//! tells the first two numbers and counts as failed. A line that is odd is left out of the sums and reported.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::unsigned;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "conntrack",
    default_on: true,
    make: |_| Ok(Box::new(Conntrack::default())),
    flags: &[],
    doc: "Entries of the connection tracking table, its limit, and what became of packets.",
};

/// The file, the metric, its help.
const LIMITS: [(&str, &str, &str); 2] = [
    (
        "sys/net/netfilter/nf_conntrack_count",
        "node_nf_conntrack_entries",
        "Number of currently allocated flow entries for connection tracking.",
    ),
    (
        "sys/net/netfilter/nf_conntrack_max",
        "node_nf_conntrack_entries_limit",
        "Maximum size of connection tracking table.",
    ),
];

/// The column, the metric, its help.
const COLUMNS: [(usize, &str, &str); 8] = [
    (2, "node_nf_conntrack_stat_found", "Number of searched entries which were successful."),
    (4, "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."),
    (5, "node_nf_conntrack_stat_ignore", "Number of packets seen which are already connected to a conntrack entry."),
    (8, "node_nf_conntrack_stat_insert", "Number of entries inserted into the list."),
    (9, "node_nf_conntrack_stat_insert_failed", "Number of entries for which list insertion was attempted but failed."),
    (10, "node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure."),
    (
        11,
        "node_nf_conntrack_stat_early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
    ),
    (
        16,
        "node_nf_conntrack_stat_search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    ),
];

/// Old kernels print 16 columns, without the restarts.
const WIDTHS: std::ops::RangeInclusive<usize> = 16..=17;

/// Reads the table's limits and statistics.
#[derive(Default)]
struct Conntrack {
    limits: [Reader; LIMITS.len()],
    stat: Reader,
}

impl Collector for Conntrack {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        for (file, (path, name, help)) in self.limits.iter_mut().zip(LIMITS) {
            let Some(text) = file.kept_text_if_there(&host.procfs, path)? else {
                return Err(CollectError::absent("connection tracking"));
            };
            let entries = unsigned(text.trim()).ok_or_else(|| file.malformed(1, "a number of entries"));
            if let Some(entries) = troubles.note(entries) {
                out.family(name, help, MetricKind::Gauge);
                out.add(&[], entries as f64);
            }
        }
        let Some(text) = self.stat.kept_text_if_there(&host.procfs, "net/stat/nf_conntrack")? else {
            troubles.note::<()>(Err(CollectError::absent("statistics of connection tracking")));
            return troubles.finish();
        };
        let (sums, bad_line) = parse(text);
        for ((_, name, help), sum) in COLUMNS.iter().zip(sums) {
            out.family(name, help, MetricKind::Gauge);
            out.add(&[], sum as f64);
        }
        if let Some(line) = bad_line {
            troubles.note::<()>(Err(self.stat.malformed(line, "16 or 17 hexadecimal numbers")));
        }
        troubles.finish()
    }
}

/// Sums the lines of all CPUs; returns the first odd line too.
fn parse(text: &str) -> ([u64; COLUMNS.len()], Option<usize>) {
    let mut sums = [0u64; COLUMNS.len()];
    let mut bad = None;
    for (at, line) in text.lines().enumerate().skip(1) {
        match parse_line(line) {
            Some(values) => {
                for ((column, _, _), sum) in COLUMNS.iter().zip(&mut sums) {
                    *sum = sum.wrapping_add(values[*column]);
                }
            }
            None => {
                bad.get_or_insert(at + 1);
            }
        }
    }
    (sums, bad)
}

fn parse_line(line: &str) -> Option<[u64; 17]> {
    let mut values = [0; 17];
    let mut width = 0;
    for field in line.split_ascii_whitespace() {
        *values.get_mut(width)? = u64::from_str_radix(field, 16).ok()?;
        width += 1;
    }
    WIDTHS.contains(&width).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_and_odd_ones_blamed() {
        let head = "entries searched found new\n";
        let line = "1 2 3 4 5 6 7 8 9 a b c d e f 10 11\n";
        let (sums, bad) = parse(&[head, line, "1 2\n", line].concat());
        assert_eq!((sums, bad), ([6, 10, 12, 18, 20, 22, 24, 34], Some(3)));
        assert_eq!(parse_line("1 2 3 4 5 6 7 8 9 a b c d e f 10").map(|values| values[16]), Some(0));
        assert!(parse_line("1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12").is_none());
        assert_eq!(parse("").1, None);
    }
}
