//! The controller in a simulated world: what comes of it at the provider, and what is told.

mod account;
mod change;
mod clocks;
mod cost;
mod crash;
mod doubt;
mod driving;
mod fairness;
mod guards;
mod hooks;
mod journal;
mod leading;
mod listing;
mod requests;
mod room;
mod standing;
mod steady;
mod world;

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One server, a snapshot a day, as many as there may be; `extra` goes into the policy.
fn one(extra: &str) -> String {
    format!(
        r#"
owner: prod
policies:
  web:
    snapshots: {{schedule: "0 3 * * *", {extra}}}
servers:
  - {{id: 1, policy: web}}
"#
    )
}

/// The same, asking the provider only each two hours where nothing is on.
fn refreshed_seldom(yaml: &str) -> String {
    yaml.replace("owner: prod", "owner: prod\nprovider: {refresh_every: 2h}")
}
