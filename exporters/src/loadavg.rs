//! `node_load1`, `node_load5`, `node_load15`: how many tasks run or wait.
//!
//! ```text
//! 0.01 2.59 1.22 1/123 94374        <- /proc/loadavg, Raspberry Pi 4, kernel 6.6
//! ```
//!
//! Only the three averages are told; the counts behind them are in `stat` and `processes`.

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::host::{Host, Reader};
use crate::number::float;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "loadavg",
    default_on: true,
    make: |_| Ok(Box::new(Loadavg::default())),
    flags: &[],
    doc: "Load averages over 1, 5 and 15 minutes from `/proc/loadavg`.",
};

const FAMILIES: [(&str, &str); 3] =
    [("node_load1", "1m load average."), ("node_load5", "5m load average."), ("node_load15", "15m load average.")];

/// Reads `/proc/loadavg`.
#[derive(Default)]
struct Loadavg {
    file: Reader,
}

impl Collector for Loadavg {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let loads = parse(self.file.kept_text(&host.procfs, "loadavg")?);
        let mut troubles = Troubles::default();
        for ((name, help), load) in FAMILIES.iter().zip(loads) {
            let load = load.ok_or_else(|| self.file.malformed(1, "three load averages"));
            if let Some(load) = troubles.note(load) {
                out.family(name, help, MetricKind::Gauge);
                out.add(&[], load);
            }
        }
        troubles.finish()
    }
}

/// Reads the averages; what is missing or no number is `None`.
fn parse(text: &str) -> [Option<f64>; 3] {
    let mut fields = text.split_ascii_whitespace();
    std::array::from_fn(|_| fields.next().and_then(float))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_are_read_and_odd_ones_left_out() {
        assert_eq!(parse("0.01 2.59 1.22 1/123 94374\n"), [Some(0.01), Some(2.59), Some(1.22)]);
        assert_eq!(parse("0.01 x\n"), [Some(0.01), None, None]);
        assert_eq!(parse(""), [None; 3]);
    }
}
