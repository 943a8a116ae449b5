//! Signals become plain values: reload, stop.
//!
//! SIGHUP reloads, SIGTERM and SIGINT stop. A second SIGTERM while stopping is ignored: the flush is bounded anyway.

use tokio::signal::unix::{SignalKind, signal};

/// What the outside wants of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again.
    Reload,
    /// Flush and end.
    Stop,
}

/// Calls `tell` for each signal, for ever.
pub(super) async fn watch(tell: Box<dyn Fn(Signal) + Send>) {
    let streams = (signal(SignalKind::hangup()), signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut hangup), Ok(mut terminate), Ok(mut interrupt)) = streams else {
        log::error!("signals cannot be caught: reload and an orderly stop do not work");
        return;
    };
    loop {
        tokio::select! {
            _ = hangup.recv() => tell(Signal::Reload),
            _ = terminate.recv() => tell(Signal::Stop),
            _ = interrupt.recv() => tell(Signal::Stop),
        }
    }
}
