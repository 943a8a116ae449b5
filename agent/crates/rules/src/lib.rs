//! Rules: Prometheus rule files, their groups and alerts, and the templates in them.
//!
//! Groups are judged by elapsed time and never invent an evaluation that was missed. Nothing here reads a clock,
//! a file or a socket: samples come through `model::Querier`, the time comes in as `Now`.

pub mod template;
