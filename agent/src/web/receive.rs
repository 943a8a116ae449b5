//! `/api/v1/write`: takes remote write, 1.0 and 2.0, into the ring.
//!
//! What is wrong in a request is left out and told, the rest is stored: 400 with the reasons, and for 2.0 the numbers of
//! what was written in the `X-Prometheus-Remote-Write-*` headers. 5xx is answered only where sending again can help.
//! Whoever writes is asked by `access`. A body that claims to unpack to more than the limit is refused before it is.
//!
//! Source: the Remote-Write 1.0 and 2.0 specifications, and Prometheus's receiver where they leave a choice.

use std::sync::PoisonError;

use exposition::{WriteLimits, WriteVersion, Written, WrittenExemplar, read_write_request};
use model::{Batch, Exemplar};

use super::{Answer, Request, Web, access};

/// The largest packed body, in bytes.
pub const RECEIVE_BYTES_MAX: usize = 4 << 20;
/// The largest unpacked body, in bytes.
const UNPACKED_BYTES_MAX: usize = 32 << 20;

/// Answers a request to write.
pub fn answer(web: &Web, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::method_not_allowed("POST");
    }
    if let Err(reason) = access::may_control(request) {
        return Answer::text(403, format!("{reason}\n"));
    }
    let version = match version(&request.content_type) {
        Ok(version) => version,
        Err(reason) => return Answer::text(415, format!("{reason}\n")),
    };
    if !matches!(request.content_encoding.as_str(), "" | "snappy") {
        let found = &request.content_encoding;
        return Answer::text(
            415,
            format!("{found} encoding (compression) is not accepted by this server; only snappy is acceptable\n"),
        );
    }
    match unpacked(&request.body, "request", UNPACKED_BYTES_MAX)
        .and_then(|body| read_write_request(&body, version, WriteLimits::default()))
    {
        Ok(written) => store(web, version, written),
        Err(reason) => Answer::text(400, format!("{reason}\n")),
    }
}

/// Tells the message from the `Content-Type`; none means 1.0, as the specification has it.
fn version(content_type: &str) -> Result<WriteVersion, String> {
    let wrong = || {
        format!(
            "{content_type:?} is not accepted: send application/x-protobuf, of proto prometheus.WriteRequest or io.prometheus.write.v2.Request"
        )
    };
    let mut parts = content_type.split(';').map(str::trim);
    if !matches!(parts.next(), Some("" | "application/x-protobuf")) {
        return Err(wrong());
    }
    let proto = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| *name == "proto");
    match proto.map(|(_, value)| value) {
        None | Some("prometheus.WriteRequest") => Ok(WriteVersion::V1),
        Some("io.prometheus.write.v2.Request") => Ok(WriteVersion::V2),
        Some(_) => Err(wrong()),
    }
}

/// Undoes snappy, if what it claims to unpack to is within the bound; `what` is packed.
pub(super) fn unpacked(packed: &[u8], what: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let bytes = snap::raw::decompress_len(packed).map_err(|_| "snappy: corrupt input")?;
    if bytes > bytes_max {
        return Err(format!("a {what} unpacks to at most {bytes_max} bytes"));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| "snappy: corrupt input".to_owned())
}

fn store(web: &Web, version: WriteVersion, written: Written) -> Answer {
    let Written { floats, histograms, exemplars, mut reasons, .. } = written;
    let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows().len() as u64).sum::<u64>();
    let (mut samples, mut natives) = (rows(&floats), rows(&histograms));
    let layers = floats.len();
    let Some(refused) = web.house.write(floats.into_iter().chain(histograms).collect()) else {
        return Answer::text(503, "the agent does not answer in time, send again\n");
    };
    for (at, refused) in refused.iter().enumerate() {
        let kept = if at < layers { &mut samples } else { &mut natives };
        *kept = kept.saturating_sub(refused.total());
        reasons.extend(told(refused));
    }
    let exemplars = keep(web, exemplars);
    // As Prometheus: a 1.0 sender is not told of series without a name, because it would only stop.
    let is_bad =
        !reasons.is_empty() && (version == WriteVersion::V2 || refused.iter().any(|refused| refused.total() > 0));
    let mut answer = match is_bad {
        true => Answer::text(400, reasons.join("\n") + "\n"),
        false => Answer::text(204, ""),
    };
    if version == WriteVersion::V2 {
        let count = |value: u64| value.to_string();
        answer.headers.push(("x-prometheus-remote-write-samples-written", count(samples)));
        answer.headers.push(("x-prometheus-remote-write-histograms-written", count(natives)));
        answer.headers.push(("x-prometheus-remote-write-exemplars-written", count(exemplars)));
    }
    answer
}

/// Keeps exemplars and returns how many. As with the peer, one that is not kept is only counted.
fn keep(web: &Web, exemplars: Vec<WrittenExemplar>) -> u64 {
    let mut kept = web.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
    let all = exemplars.into_iter().map(|WrittenExemplar { series, labels, value, at }| Exemplar {
        series,
        labels,
        value,
        at,
        has_time: true,
    });
    all.map(|exemplar| u64::from(kept.add(exemplar))).sum()
}

/// Says why a store refused rows.
fn told(refused: &tsdb::Refused) -> impl Iterator<Item = String> + use<> {
    let reasons = [
        (refused.series_max, "the store has as many series as it may have"),
        (refused.time, "out of bounds: times are from 1970 to 2262"),
        (refused.histogram, "a histogram with more buckets than are stored"),
        (refused.labels, "these are no labels"),
        (refused.repeated, "duplicate sample for timestamp"),
        (refused.memory, "there is no memory for more series"),
        (refused.out_of_order, "out of order sample"),
        (refused.too_old, "out of bounds: too old"),
        (refused.duplicate, "duplicate sample for timestamp"),
        (refused.block_full, "more samples at once than a block of this data file holds"),
    ];
    reasons.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} samples: {why}"))
}
