//! `snapwarden simulate`: what a policy is worth, played on simulated time.

mod json;
mod scale;
mod svg;
mod text;
mod told;

use std::path::PathBuf;

use crate::clock::Clock;

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure, stdout_has_color};
use super::{output, schedule, select};
use told::{Asked, Story};

/// Play the policies on simulated time: what exists on each day, the oldest restore point, the widest gap, calls a day
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A server that has nothing yet is played through the real plan code, as `serve` would treat it; the provider does as it is documented, and is
not asked anything. Left out are `splay`, hooks, and items that others make.

Examples:
  snapwarden simulate --policy web
  snapwarden simulate --policy web --policy db --days 90 --from 2026-01-01 --svg web-or-db.svg
  snapwarden simulate --policy web --outage 7d
  snapwarden simulate --policy web --suggest

docs/choosing-a-policy.md explains the measures and the JSON."
)]
pub(super) struct SimulateArgs {
    /// Only this policy (repeatable: they are compared) [default: all]
    #[arg(long, value_name = "P")]
    policy: Vec<String>,
    /// How many days to play
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=4000))]
    days: u32,
    /// When to begin (RFC 3339; without an offset it is in the policy's time zone) [default: today]
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// For so long, from the middle of the time on, whatever is made fails at the provider, and fills a slot
    #[arg(long, value_name = "D", value_parser = select::duration)]
    outage: Option<std::time::Duration>,
    /// Look for better counts under `keep`, for the same schedule and slots
    #[arg(long)]
    suggest: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Write the picture into this file, too
    #[arg(long, value_name = "F")]
    svg: Option<PathBuf>,
}

pub(super) fn simulate(common: &Common, args: &SimulateArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    let asked = Asked { policies: &args.policy, days: args.days, from: args.from.as_deref(), outage: args.outage, suggest: args.suggest };
    let story = Story::play(&app.config.setup(), app.clock.now().wall, &asked)?;
    if let Some(path) = &args.svg {
        std::fs::write(path, svg::render(&story))
            .map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: failed to write the picture {}: {error}", path.display())))?;
    }
    if args.json {
        output::json(&json::of(&story))?;
    } else {
        output::write(&text::render(&story, stdout_has_color()))?;
    }
    Ok(Exit::Done)
}

fn from_hint(text: &str, error: &jiff::Error) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("snapwarden: failed to read `{text}` as the time to start from: {error}"));
    failure.hint(Some(schedule::FROM_HINT.to_owned()))
}
