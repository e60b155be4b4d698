//! Signals, as events.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
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

/// Catches the signals from now on. They come out of the receiver in their order.
pub(super) fn catch() -> Result<mpsc::UnboundedReceiver<Signal>, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("snapwarden: failed to catch signals: {error}"));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
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
