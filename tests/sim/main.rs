//! Simulated time: the real core, store, rules, notifier and uplink through clock jumps, outages, kills, power cuts.
//!
//! Nothing here waits or has a thread: `world` is a board with a seed, `net` what it talks to. Each scenario checks what
//! DESIGN promises of it, and has a mutation that shows that the check would notice. A failure names its seed.

mod clock;
mod disk;
mod net;
mod outages;
mod world;
