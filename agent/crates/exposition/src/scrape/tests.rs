//! What the scrape parsers promise beyond the upstream tables: bounds, memory, and that no input panics.
