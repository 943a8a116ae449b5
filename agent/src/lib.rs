//! The agent: core and everything around it.
//!
//! The library holds it all, so that tests run the same code as the binary. Read `house` for how the parts run
//! together, `core` for what is decided, `believed` for how a configuration becomes parts. What may read a clock or
//! open the data file is in `os`; what may name tokio is in `io`.

pub mod cli;
pub mod config;
pub mod logging;
pub mod trouble;

pub mod core;
pub mod house;

pub mod believed;
pub mod medium;

pub mod collect;
pub mod disk;
pub mod exemplars;
pub mod gpio;
pub mod receivers;
pub mod rules_thread;
pub mod scraping;
pub mod target_lists;
pub mod upstream;

pub mod about;
pub mod io;
pub mod os;
pub mod web;
