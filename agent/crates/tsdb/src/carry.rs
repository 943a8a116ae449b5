//! What carrying rows from one store to another needs of the store: a source that leaves no trace.
//!
//! Rows that come from another store come in batches of ever other series, whose ends are rows themselves. A source
//! that is forgotten after each batch gets no staleness markers for what the next one does not have.

use model::SourceId;

use crate::store::Store;

impl Store {
    /// Forgets which series a source had last, without marking them as ended.
    pub fn forget_source(&mut self, source: SourceId) {
        self.sources.remove(&source);
    }
}
