//! The whole, end to end: the built agent beside the real peers, on loopback, with real time.
//!
//! Each file is one promise of the agent's, tried on the real program: `central` and `remote_write` with the real
//! Prometheus, `mqtt` with the real mosquitto, `restart`, `rules`, `reload`, `refusals`, `hanging`, `medium` and `stall` with what may
//! happen to a board, `promtool` with the tool people check their files with. `held` is what they share.
//!
//! What is compared comes from two sides that do not know each other. Nothing waits for a fixed time; a peer that is
//! not installed is left out loudly (`support::shared`).

mod gate;
mod held;

mod access;
mod central;
mod clients;
mod exemplars;
mod hanging;
mod medium;
mod mqtt;
mod promtool;
mod pushes;
mod query_command;
mod receive;
mod refusals;
mod reload;
mod remote_write;
mod restart;
mod rule_tools;
mod rules;
mod scrape;
mod stall;
mod tls;
mod tsdb_command;
