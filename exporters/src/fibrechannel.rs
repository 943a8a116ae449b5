//! `node_fibrechannel_*`: Fibre Channel ports and what they counted.
//!
//! ```text
//! host0/port_name               0x1000e0071bce95f2        <- /sys/class/fc_host, kernel 6.1
//! host0/statistics/rx_frames    0x3
//! ```
//!
//! All ones is a driver's word for "not counted", and then nothing is told. A port without a file has an empty label
//! or no row; one without statistics ends the peer's process.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::{Host, Names};
use crate::number;
use crate::sheet::{Head, Sheet, counter, gauge};
use crate::shelf::{Entry, Shelf};
use crate::single::Words;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "fibrechannel",
    default_on: true,
    make: |_| Ok(Box::new(Fibrechannel::default())),
    flags: &[],
    doc: "Fibre Channel ports and what they counted, from `/sys/class/fc_host`.",
};

const DIR: &str = "class/fc_host";

/// Files that are labels, in the order of the labels; each may begin with `0x`, which is left out.
const WORDS: [&str; 10] = [
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
];
static FACTS: Head = gauge(
    "node_fibrechannel_info",
    "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.",
    &[
        "fc_host",
        "speed",
        "port_state",
        "port_type",
        "port_id",
        "port_name",
        "fabric_name",
        "symbolic_name",
        "supported_classes",
        "supported_speeds",
        "dev_loss_tmo",
    ],
);
const LABELS: &[&str] = &["fc_host"];

/// The files below `statistics`.
static FILES: [Entry; 14] = [
    ("dumped_frames", counter("node_fibrechannel_dumped_frames_total", "Number of dumped frames", LABELS), 1.0),
    ("error_frames", counter("node_fibrechannel_error_frames_total", "Number of errors in frames", LABELS), 1.0),
    (
        "fcp_packet_aborts",
        counter("node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets", LABELS),
        1.0,
    ),
    (
        "invalid_crc_count",
        counter("node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count", LABELS),
        1.0,
    ),
    (
        "invalid_tx_word_count",
        counter("node_fibrechannel_invalid_tx_words_total", "Number of invalid words transmitted by host port", LABELS),
        1.0,
    ),
    (
        "link_failure_count",
        counter("node_fibrechannel_link_failure_total", "Number of times the host port link has failed", LABELS),
        1.0,
    ),
    (
        "loss_of_signal_count",
        counter("node_fibrechannel_loss_of_signal_total", "Number of times signal has been lost", LABELS),
        1.0,
    ),
    (
        "loss_of_sync_count",
        counter(
            "node_fibrechannel_loss_of_sync_total",
            "Number of failures on either bit or transmission word boundaries",
            LABELS,
        ),
        1.0,
    ),
    (
        "nos_count",
        counter(
            "node_fibrechannel_nos_total",
            "Number Not_Operational Primitive Sequence received by host port",
            LABELS,
        ),
        1.0,
    ),
    ("rx_frames", counter("node_fibrechannel_rx_frames_total", "Number of frames received", LABELS), 1.0),
    ("rx_words", counter("node_fibrechannel_rx_words_total", "Number of words received by host port", LABELS), 1.0),
    (
        "seconds_since_last_reset",
        counter(
            "node_fibrechannel_seconds_since_last_reset_total",
            "Number of seconds since last host port reset",
            LABELS,
        ),
        1.0,
    ),
    (
        "tx_frames",
        counter("node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port", LABELS),
        1.0,
    ),
    ("tx_words", counter("node_fibrechannel_tx_words_total", "Number of words transmitted by host port", LABELS), 1.0),
];

/// Reads `/sys/class/fc_host`.
#[derive(Default)]
struct Fibrechannel {
    names: Names,
    shelf: Shelf,
    words: Words,
    sheet: Sheet,
}

impl Collector for Fibrechannel {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Err(CollectError::absent("a Fibre Channel port"));
        }
        for name in self.names.iter() {
            self.shelf.enter(&[DIR, "/", name]);
            self.words.clear();
            WORDS.iter().for_each(|file| self.shelf.word(&host.sysfs, file, &mut self.words));
            let mut labels = [name; 1 + WORDS.len()];
            for (index, label) in labels[1..].iter_mut().enumerate() {
                let word = self.words.get(index);
                *label = word.strip_prefix("0x").unwrap_or(word);
            }
            self.sheet.put(&FACTS, &labels, 1.0);
            self.shelf.enter(&[DIR, "/", name, "/statistics"]);
            self.shelf.put(&host.sysfs, &FILES, (count, None), &[name], &mut self.sheet);
        }
        self.sheet.tell(out);
        self.shelf.finish()
    }
}

/// Reads a counter in any base; all ones is none.
fn count(text: &str) -> Option<Option<f64>> {
    number::any_base(text).map(|value| (value != u64::MAX).then_some(value as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_in_any_base_and_all_ones_is_none() {
        assert_eq!(
            (count("0x11"), count("17"), count("0XfF")),
            (Some(Some(17.0)), Some(Some(17.0)), Some(Some(255.0)))
        );
        assert_eq!(count("0xffffffffffffffff"), Some(None));
        for bad in ["", "0x", "x", "-1", "0x1ffffffffffffffff"] {
            assert_eq!(count(bad), None, "{bad}");
        }
    }
}
