//! `node_timex_*`: how well the kernel's clock is kept, as `adjtimex(2)` says it.
//!
//! ```text
//! state TIME_ERROR (5), status 0x40 (unsynchronised), maxerror 16000000 us, tick 10000 us    <- a Pi before NTP
//! ```
//!
//! Asking changes nothing. Where a sandbox forbids the question, nothing is told, and that is no fault.

use std::io;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::CollectError;
use crate::host::Host;
use crate::system::Timex;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "timex",
    default_on: true,
    make: |_| Ok(Box::new(Clock)),
    flags: &[],
    doc: "How well the kernel's clock is kept, from the `adjtimex` system call.",
};

/// What the call returns for a clock that nobody keeps right.
const TIME_ERROR: i32 = 5;

/// The status bit that says that offsets are in nanoseconds.
const STATUS_NANO: i64 = 0x2000;

const MICROSECONDS: f64 = 1e6;

/// Parts per million with sixteen binary places after the point.
const PPM_16: f64 = 1e6 * 65_536.0;

type Part = fn(&Timex) -> f64;

/// The metric, its help, whether it is a counter, its value.
const FAMILIES: [(&str, &str, bool, Part); 17] = [
    ("node_timex_offset_seconds", "Time offset in between local system and reference clock.", false, |t| {
        t.offset as f64 / divisor(t)
    }),
    ("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.", false, |t| {
        1.0 + t.frequency as f64 / PPM_16
    }),
    ("node_timex_maxerror_seconds", "Maximum error in seconds.", false, |t| t.error_max as f64 / MICROSECONDS),
    ("node_timex_estimated_error_seconds", "Estimated error in seconds.", false, |t| {
        t.error_estimated as f64 / MICROSECONDS
    }),
    ("node_timex_status", "Value of the status array bits.", false, |t| t.status as f64),
    ("node_timex_loop_time_constant", "Phase-locked loop time constant.", false, |t| t.constant as f64),
    ("node_timex_tick_seconds", "Seconds between clock ticks.", false, |t| t.tick as f64 / MICROSECONDS),
    ("node_timex_pps_frequency_hertz", "Pulse per second frequency.", false, |t| t.pps_frequency as f64 / PPM_16),
    ("node_timex_pps_jitter_seconds", "Pulse per second jitter.", false, |t| t.pps_jitter as f64 / divisor(t)),
    ("node_timex_pps_shift_seconds", "Pulse per second interval duration.", false, |t| t.pps_shift as f64),
    (
        "node_timex_pps_stability_hertz",
        "Pulse per second stability, average of recent frequency changes.",
        false,
        |t| t.pps_stability as f64 / PPM_16,
    ),
    ("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events.", true, |t| {
        t.pps_jitters as f64
    }),
    ("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals.", true, |t| {
        t.pps_calibrations as f64
    }),
    ("node_timex_pps_error_total", "Pulse per second count of calibration errors.", true, |t| t.pps_errors as f64),
    (
        "node_timex_pps_stability_exceeded_total",
        "Pulse per second count of stability limit exceeded events.",
        true,
        |t| t.pps_unstable as f64,
    ),
    ("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", false, |t| t.tai as f64),
    ("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).", false, |t| {
        f64::from(u8::from(t.state != TIME_ERROR))
    }),
];

/// Asks the kernel for the state of its clock.
struct Clock;

impl Collector for Clock {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let found = match host.system.timex() {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                return Err(CollectError::absent("the right to ask for the state of the clock"));
            }
            Err(source) => return Err(CollectError::Io { path: "adjtimex".into(), source }),
        };
        for (name, help, is_counter, part) in FAMILIES {
            out.family(name, help, if is_counter { MetricKind::Counter } else { MetricKind::Gauge });
            out.add(&[], part(&found));
        }
        Ok(())
    }
}

fn divisor(found: &Timex) -> f64 {
    if found.status & STATUS_NANO != 0 { 1e9 } else { MICROSECONDS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_in_what_the_status_says() {
        let value = |timex: &Timex, name: &str| {
            let family = FAMILIES.iter().find(|family| family.0 == name).expect("listed");
            family.3(timex)
        };
        let micro = Timex { state: 5, offset: 1_500_000, frequency: 65_536, ..Timex::default() };
        assert_eq!(value(&micro, "node_timex_offset_seconds"), 1.5);
        assert_eq!(value(&micro, "node_timex_frequency_adjustment_ratio"), 1.000_001);
        assert_eq!(value(&micro, "node_timex_sync_status"), 0.0);
        let nano = Timex { status: STATUS_NANO, ..micro };
        assert_eq!(value(&nano, "node_timex_offset_seconds"), 0.0015);
    }
}
