//! `narthex tsdb verify`: reads every page of every block and decodes every sample.
//!
//! What opening found damaged counts too. Nothing is mended: the agent serves what is whole, and the ring's next lap
//! writes over what is not.

use model::{Labels, Querier, TimeRange, UnixMs};

use super::Asked;
use crate::cli::Failure;

/// Runs the command.
pub fn run(asked: &Asked) -> Result<(), Failure> {
    let offline = asked.open(false)?;
    let reader = offline.store.reader();
    let range = TimeRange { start: UnixMs(i64::MIN / 2), end: UnixMs(i64::MAX / 2) };
    let (mut series, mut samples) = (0u64, 0u64);
    let mut visit = |_: &Labels, found: model::SeriesSamples<'_>| {
        series += 1;
        samples += found.at.len() as u64;
        true
    };
    let path = offline.path.display();
    reader.select(&[], range, &mut visit).map_err(|error| Failure::Fault(format!("{path}: {error}")))?;
    let stats = reader.stats();
    println!("{path}: {} blocks, {series} series, {samples} samples decoded", stats.blocks);
    match (stats.damaged_pages, offline.found.damaged_blocks) {
        (0, 0) => Ok(()),
        (pages, blocks) => Err(Failure::Fault(format!(
            "{path}: {pages} pages and {blocks} blocks are damaged; what else there is is served"
        ))),
    }
}
