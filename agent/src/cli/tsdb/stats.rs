//! `narthex tsdb stats`: what the data file holds and what it costs.
//!
//! `bytes_per_sample` is everything that the sealed blocks take in the file, their indexes, labels and the room lost
//! at the ends of pages included, divided by their samples.

use std::fmt::Write;

use super::Asked;
use crate::cli::{Failure, help};

/// Runs the command.
pub fn run(asked: &Asked) -> Result<(), Failure> {
    let offline = asked.open(false)?;
    let (stats, costs) = (offline.store.stats(), offline.store.reader().costs());
    let costs = costs.map_err(|error| Failure::Fault(format!("{}: {error}", offline.path.display())))?;
    let sealed: u64 = stats.rows.saturating_sub(stats.open_rows);
    let per_sample = if sealed > 0 { stats.used_bytes as f64 / sealed as f64 } else { 0.0 };
    let mut out = String::new();
    if asked.is_json {
        let time = |at: Option<model::UnixMs>| at.map_or("null".to_owned(), |at| at.0.to_string());
        let _ = write!(
            out,
            "{{\"file_bytes\":{},\"ring_bytes\":{},\"used_bytes\":{},\"blocks\":{},\"samples\":{sealed},\
             \"open_samples\":{},\"series\":{},\"oldest_ms\":{},\"newest_ms\":{},\"bytes_per_sample\":{per_sample:.6},\
             \"days\":{},\"damaged_pages\":{},\"metrics\":[",
            stats.file_bytes,
            stats.ring_bytes,
            stats.used_bytes,
            stats.blocks,
            stats.open_rows,
            stats.series,
            time(stats.oldest),
            time(stats.newest),
            stats.days.map_or("null".to_owned(), |days| format!("{days:.3}")),
            stats.damaged_pages,
        );
        for (at, cost) in costs.iter().enumerate() {
            out.push_str(if at > 0 { ",{\"name\":" } else { "{\"name\":" });
            crate::web::json::string(&mut out, &cost.name);
            let _ = write!(out, ",\"series\":{},\"bytes\":{}}}", cost.series, cost.bytes);
        }
        out.push_str("]}\n");
        return help::print(&out);
    }
    let _ = writeln!(out, "{}: {} bytes, {} blocks", offline.path.display(), stats.file_bytes, stats.blocks);
    let _ = writeln!(out, "used: {} of {} bytes of the ring", stats.used_bytes, stats.ring_bytes);
    let _ = writeln!(out, "samples: {sealed} in blocks, {} not yet; series: {}", stats.open_rows, stats.series);
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        let _ = writeln!(out, "from {oldest} to {newest}");
    }
    let _ = writeln!(out, "bytes_per_sample: {per_sample:.3}");
    if let Some(days) = stats.days {
        let _ = writeln!(out, "at this rate the file holds {days:.1} days");
    }
    let _ = writeln!(out, "\n{:>12} {:>8}  metric", "bytes", "series");
    for cost in costs.iter().take(20) {
        let _ = writeln!(out, "{:>12} {:>8}  {}", cost.bytes, cost.series, cost.name);
    }
    help::print(&out)
}
