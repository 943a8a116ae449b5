//! The fakes, once: what the tests of the whole need around the agent.
//!
//! Standard library only, so that nothing here shares a mistake with what it tests. `wait` is the only place where
//! time passes; `agent` and `peers` start processes, `receiver` plays the other side, `shared` finds what is not part
//! of the project. Everything is loopback, on ports that the system chose.

pub mod agent;
pub mod disk;
pub mod folder;
pub mod http;
pub mod peers;
pub mod process;
pub mod receiver;
pub mod remote_write;
pub mod shared;
pub mod wait;
