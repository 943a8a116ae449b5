//! Remote write 1.0: rows as a Snappy block of a protobuf `WriteRequest`, sent by POST.
//!
//! A frame groups the rows it carries by series, samples ascending in time, labels sorted, the external labels
//! added where the series has none of that name. Staleness markers and native histograms go through. Metadata is
//! not sent: version 1.0 receivers take it or leave it. Answers are judged by [`classify`] as Prometheus's sender
//! judges them: what is refused is dropped and counted, so one bad sample never stops the rest.
//!
//! Specification: "Prometheus Remote-Write 1.0", and `prompb/remote.proto` of Prometheus.

mod answer;
mod pack;
mod proto;

pub use answer::classify;

use model::Labels;

use crate::backoff::BackoffLimits;
use crate::outbox::Pace;
use crate::select::Selection;
use crate::uplink::Uplink;
use pack::RequestPacker;

/// The headers that go with every frame, besides `Content-Length`, `Host` and credentials.
pub const HEADERS: [(&str, &str); 4] = [
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ("User-Agent", USER_AGENT),
];

/// Who asks.
pub const USER_AGENT: &str = concat!("narthex/", env!("CARGO_PKG_VERSION"));

/// What is configured of one remote-write upstream, address and credentials aside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Added to every series that has no label of that name.
    pub external_labels: Labels,
    /// Which series are sent.
    pub select: Selection,
    /// What becomes of a series, with the external labels, before it is sent (`write_relabel_configs`).
    pub relabel: Vec<relabel::Rule>,
    /// The most samples of one frame (`max_samples_per_send`).
    pub frame_rows_max: usize,
    /// The most bytes of one frame before compression.
    pub frame_bytes_max: usize,
    /// How long fewer rows wait for more, in milliseconds (`batch_send_deadline`).
    pub linger_ms: u64,
    /// The pauses after failures (`min_backoff`, `max_backoff`).
    pub backoff: BackoffLimits,
    /// Where the pauses' random part comes from; different on every board.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            external_labels: Labels::empty(),
            select: Selection::all(),
            relabel: Vec::new(),
            frame_rows_max: 2_000,
            frame_bytes_max: 1 << 20,
            linger_ms: 5_000,
            backoff: BackoffLimits::default(),
            seed: 0,
        }
    }
}

/// Returns a remote-write upstream that goes on where the saved state left off.
pub fn uplink(config: Config, saved: Option<&[u8]>) -> Uplink {
    let pace = Pace { frame_rows_max: config.frame_rows_max, linger_ms: config.linger_ms, backoff: config.backoff };
    let packer =
        RequestPacker::new(config.external_labels, config.select, config.frame_bytes_max).with_rules(config.relabel);
    Uplink::new(pace, Box::new(packer), saved, config.seed)
}
