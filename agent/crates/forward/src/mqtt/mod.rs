//! MQTT: one JSON message for the rows that share a time, an instance and a job.
//!
//! ```json
//! {"instance":"pi:9090","job":"node","ts":1795249204020,"values":{"node_load1":0.42,"node_thermal_zone_temp{type=\"cpu-thermal\",zone=\"0\"}":45.1}}
//! ```
//!
//! * `ts` is in milliseconds since 1970. `instance` and `job` stand before the values and not in their keys; a row
//!   without one makes a message without it.
//! * A key is the series as Prometheus writes it, labels in ascending order, no space after the comma.
//! * A value is a number; what JSON has no number for is the string `"NaN"`, `"+Inf"` or `"-Inf"`.
//! * A collection larger than `payload_bytes_max` becomes several messages with the same `ts`.
//! * Staleness markers and native histograms are left out and counted.
//!
//! The topic, QoS 1 and the broker are the shell's: it settles a frame as delivered when its PUBACK came, and has a
//! packet size at least as large as the payload's. The broker may deliver a frame twice; the bytes are then the same.

mod json;

use crate::backoff::BackoffLimits;
use crate::outbox::Pace;
use crate::select::Selection;
use crate::uplink::Uplink;
use json::MessagePacker;

/// The payload limit where none is configured, in bytes: what small brokers and clients take.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// How many rows are read from the ring at once.
pub const READ_ROWS_MAX: usize = 2_000;

/// What is configured of one MQTT upstream, broker and topic aside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which series are published.
    pub select: Selection,
    /// The most bytes of one message.
    pub payload_bytes_max: usize,
    /// The pauses after failures.
    pub backoff: BackoffLimits,
    /// Where the pauses' random part comes from; different on every board.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            select: Selection::all(),
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            backoff: BackoffLimits::default(),
            seed: 0,
        }
    }
}

/// Returns an MQTT upstream that goes on where the saved state left off.
pub fn uplink(config: Config, saved: Option<&[u8]>) -> Uplink {
    let pace = Pace { frame_rows_max: READ_ROWS_MAX, linger_ms: 0, backoff: config.backoff };
    let packer = MessagePacker::new(config.select, config.payload_bytes_max);
    Uplink::new(pace, Box::new(packer), saved, config.seed)
}
