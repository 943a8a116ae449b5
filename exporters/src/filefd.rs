//! `node_filefd_allocated`, `node_filefd_maximum`: open files of the whole machine.
//!
//! ```text
//! 1344  0  9223372036854775807        <- /proc/sys/fs/file-nr, Raspberry Pi 4, kernel 6.6
//! ```
//!
//! The middle number is always zero and not told. Blanks in place of tabs are no fault here; the peer then tells
//! nothing. A file of fewer than three fields is not this file, and nothing of it is believed.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::float;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "filefd",
    default_on: true,
    make: |_| Ok(Box::new(Filefd::default())),
    flags: &[],
    doc: "Open files of the whole machine, and how many there may be, from `/proc/sys/fs/file-nr`.",
};

const FAMILIES: [(&str, &str); 2] = [
    ("node_filefd_allocated", "File descriptor statistics: allocated."),
    ("node_filefd_maximum", "File descriptor statistics: maximum."),
];

/// Reads `/proc/sys/fs/file-nr`.
#[derive(Default)]
struct Filefd {
    file: Reader,
}

impl Collector for Filefd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let counts = parse(self.file.kept_text(&host.procfs, "sys/fs/file-nr")?);
        let mut troubles = Troubles::default();
        for ((name, help), count) in FAMILIES.iter().zip(counts) {
            let count = count.ok_or_else(|| self.file.malformed(1, "three numbers"));
            if let Some(count) = troubles.note(count) {
                out.family(name, help, MetricKind::Gauge);
                out.add(&[], count);
            }
        }
        troubles.finish()
    }
}

/// Reads how many files are open and may be.
fn parse(text: &str) -> [Option<f64>; 2] {
    let mut fields = text.split_ascii_whitespace();
    match (fields.next(), fields.nth(1)) {
        (Some(allocated), Some(maximum)) => [float(allocated), float(maximum)],
        _ => [None; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_number_is_left_out() {
        assert_eq!(parse("1344\t0\t9223372036854775807\n"), [Some(1344.0), Some(9_223_372_036_854_775_807.0)]);
        assert_eq!(parse("1 2 x\n"), [Some(1.0), None]);
        assert_eq!([parse("1024\t0\n"), parse("")], [[None; 2]; 2]);
    }
}
