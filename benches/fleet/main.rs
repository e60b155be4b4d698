//! The program as it is built for release, against the emulator: `cargo bench --bench fleet -- [WHAT…]`, or `benches/run`, which also measures its peers.
//!
//! Every figure is of processes of their own: the emulator is in this one. What is printed are tables for docs/performance.md.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark reads the clock, and ends by a panic")]

mod check;
mod idle;
mod measure;
mod memory;
mod peers;
mod rate;
mod scrapes;
mod stage;

/// What can be measured, by the name on the command line.
const ALL: [(&str, fn()); 6] = [
    ("check", check::check),
    ("memory", memory::memory),
    ("idle", idle::idle),
    ("scrapes", scrapes::scrapes),
    ("rate", rate::rate),
    ("peers", peers::peers),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches` runs this too: ten servers show that it works.
        return memory::one(10);
    }
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    for name in &named {
        assert!(ALL.iter().any(|(known, _)| known == name), "unknown: {name}; known: {:?}", ALL.map(|(known, _)| known));
    }
    for (name, measure) in ALL {
        if named.is_empty() || named.iter().any(|wanted| *wanted == name) {
            measure();
        }
    }
}
