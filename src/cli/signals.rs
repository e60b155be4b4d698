//! Signals, as events.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;
use tokio::sync::mpsc;

use super::exit::{Exit, Failure};

/// A signal that the program reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// The signals that were caught, in their order.
pub(super) type Signals = mpsc::UnboundedReceiver<Signal>;

/// Waits for a signal to end.
pub(super) async fn ended(signals: &mut Signals) {
    while let Some(signal) = signals.recv().await {
        if signal != Signal::Reload {
            return;
        }
    }
    // Nothing can be caught any more: the thread that catches lives as long as the receiver.
    std::future::pending().await
}

/// Catches the signals from now on. They come out of the receiver in their order.
pub(super) fn catch() -> Result<Signals, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("snapwarden: failed to catch signals: {error}"));
    let mut signals = iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let watch = move || {
        for signal in signals.forever() {
            let signal = match signal {
                SIGHUP => Signal::Reload,
                SIGINT => Signal::Interrupt,
                _ => Signal::Terminate,
            };
            if sender.send(signal).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(failed)?;
    Ok(receiver)
}
