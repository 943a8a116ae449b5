//! What each metric costs in the file: for the person who wonders where the days went.
//!
//! A column's bytes belong to its series' metric, as they are before a block's groups are squeezed; what its series share
//! (times, index, labels) is nobody's. Reads the index of every block and no value. Not for the hot path: it walks the
//! whole ring.

use std::collections::HashMap;

use model::SelectError;

use crate::reader::{Reader, Source};

/// What one metric costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The metric's name.
    pub name: String,
    /// How many series it has.
    pub series: u64,
    /// How many bytes its columns take, in blocks before these are squeezed, and in memory.
    pub bytes: u64,
}

impl Reader {
    /// Returns what each metric costs, the dearest first.
    ///
    /// # Errors
    /// [`SelectError`], when blocks are overwritten meanwhile or the medium fails.
    pub fn costs(&self) -> Result<Vec<Cost>, SelectError> {
        let (mut names, mut blocks) = (HashMap::new(), Vec::new());
        let mut costs: HashMap<String, Cost> = HashMap::new();
        let state = self.shared.read();
        for (series, labels) in state.index.named(&state.index.candidates(&[])) {
            let name = labels.name().to_owned();
            let cost = costs.entry(name.clone()).or_insert_with(|| Cost { name: name.clone(), series: 0, bytes: 0 });
            cost.series += 1;
            names.insert(series, name);
        }
        blocks.extend(state.ring.blocks.iter().map(|block| block.number));
        blocks.extend(state.frozen.as_ref().map(|head| head.block));
        blocks.push(state.head.block);
        drop(state);
        let mut source = Source::new(&self.shared);
        for number in blocks {
            let Some(view) = source.view(number)? else { continue };
            for column in &view.index.columns {
                let values = column.values;
                // Times that several columns share lie behind the values of the first.
                let times = column.times.filter(|times| times.offset == values.offset.wrapping_add(values.len));
                let bytes = values.len + times.map_or(0, |times| times.len);
                if let Some(cost) = names.get(&column.series).and_then(|name| costs.get_mut(name)) {
                    cost.bytes += u64::from(bytes);
                }
            }
        }
        let mut costs: Vec<Cost> = costs.into_values().collect();
        costs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        Ok(costs)
    }
}
