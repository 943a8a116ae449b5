//! `node_swap_size_bytes`, `node_swap_used_bytes`, `node_swap_priority`: each swap device.
//!
//! ```text
//! Filename        Type        Size     Used  Priority      <- /proc/swaps, a laptop, kernel 6.1; in KiB
//! /dev/zram0      partition   8388604  76    100
//! ```
//!
//! A name is told as the kernel prints it, blanks as `\040`.

use model::Batch;

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::{integer, unsigned};
use crate::sheet::{Head, Sheet, gauge};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "swap",
    default_on: false,
    make: |_| Ok(Box::new(Swap::default())),
    flags: &[],
    doc: "Size, use and priority of each swap device from `/proc/swaps`.",
};

const LABELS: &[&str] = &["device", "swap_type"];
static SIZE: Head = gauge("node_swap_size_bytes", "Swap device size in bytes.", LABELS);
static USED: Head = gauge("node_swap_used_bytes", "Swap device used in bytes.", LABELS);
static PRIORITY: Head = gauge("node_swap_priority", "Swap device priority.", LABELS);

const KIB: f64 = 1_024.0;

/// Reads `/proc/swaps`.
#[derive(Default)]
struct Swap {
    file: Reader,
    sheet: Sheet,
}

impl Collector for Swap {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut bad = None;
        for (at, line) in self.file.kept_text(&host.procfs, "swaps")?.lines().enumerate().skip(1) {
            let Some((labels, size, used, priority)) = parse_line(line) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            self.sheet.put(&SIZE, &labels, size as f64 * KIB);
            self.sheet.put(&USED, &labels, used as f64 * KIB);
            self.sheet.put(&PRIORITY, &labels, priority as f64);
        }
        self.sheet.tell(out);
        Troubles::of_line(&self.file, bad, "a device, its type and three numbers")
    }
}

fn parse_line(line: &str) -> Option<([&str; 2], u64, u64, i64)> {
    let mut fields = line.split_ascii_whitespace();
    let labels = [fields.next()?, fields.next()?];
    Some((labels, unsigned(fields.next()?)?, unsigned(fields.next()?)?, integer(fields.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_two_words_and_three_numbers() {
        assert_eq!(parse_line("/a\\040b file 12 3 -2"), Some((["/a\\040b", "file"], 12, 3, -2)));
        for bad in ["", "/dev/sda2", "/dev/sda2 partition 1 2", "/dev/sda2 partition x 2 3"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
