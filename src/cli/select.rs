//! What the options say: SELECT, which targets a command is about, and durations.

use std::time::Duration;

use clap::ValueEnum;

use crate::config;
use crate::controller::{Select, ServerPattern};
use crate::domain::globs::Globs;
use crate::domain::inventory::{Kind, ServerId};

/// Which targets are meant; without any of these, all.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Selection (each repeatable)")]
pub(super) struct SelectArgs {
    /// Only servers with this number or name; `*` and `?` stand for any text and any character
    #[arg(long, value_name = "ID|NAME|GLOB", value_parser = server)]
    pub server: Vec<ServerPattern>,
    /// Only servers under this policy
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// Only this kind
    #[arg(long, value_enum)]
    pub kind: Vec<KindArg>,
}

/// A kind on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KindArg {
    Snapshot,
    Backup,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Snapshot => Kind::Snapshot,
            KindArg::Backup => Kind::Backup,
        }
    }
}

impl SelectArgs {
    /// What is selected.
    pub fn select(&self) -> Select {
        Select { servers: self.server.clone(), policies: self.policy.clone(), kinds: self.kind.iter().copied().map(Kind::from).collect() }
    }
}

/// A number is a number; anything else is a name or a pattern.
pub(super) fn server(text: &str) -> Result<ServerPattern, String> {
    if let Ok(id) = text.parse() {
        return Ok(ServerPattern::Id(ServerId(id)));
    }
    Globs::new(&[text]).map(ServerPattern::Name).map_err(|error| error.to_string())
}

/// A duration on the command line, by the same rule as in the configuration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = config::read_duration(text)?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_in_the_configuration() {
        for (text, seconds) in [("1day", 86_400), ("2h 30m", 9000), ("90s", 90)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["1yr", "2yrs", "1month", "3M", "1y", "90", "0s", "-1h", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
