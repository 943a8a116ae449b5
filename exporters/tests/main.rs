//! The collectors against fixture trees and against what the real node_exporter printed on them.
//!
//! Shared trees and goldens are found by `NARTHEX_SHARED` (default: `shared` beside the workspace); where they are
//! missing, each test says loudly what it leaves out. Our own small board is in `exporters/fixtures` and always
//! runs. `golden` compares whole collectors, `textfile` the peer's cases of that collector, `mutation` shows that
//! no file can make a collector panic, `fuzz` that no input of a family of readers can, `steady` that a collection allocates nothing, `live` runs the real peer
//! beside us where `NARTHEX_NODE_EXPORTER` names it.

mod differences;
mod families;
mod fuzz;
mod golden;
mod hanging;
mod live;
mod mutation;
mod names;
mod netlink;
mod odd;
mod own;
mod steady;
mod support;
mod systemd;
mod textfile;
