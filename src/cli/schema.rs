//! `snapwarden schema`: the JSON Schema of the configuration, for editors.

use serde_json::{Map, Value};

use crate::config::SCHEMA;

use super::exit::{Exit, Failure};
use super::output;

/// Print the JSON Schema of the configuration, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "Beside the configuration it serves every editor that reads the line at the top of the examples:
  snapwarden schema > /etc/snapwarden/snapwarden.schema.json
  # yaml-language-server: $schema=snapwarden.schema.json")]
pub(super) struct SchemaArgs {
    /// That of a file in conf.d, which adds only policies and servers
    #[arg(long)]
    conf_d: bool,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<Exit, Failure> {
    if args.conf_d {
        let part = conf_d(SCHEMA).map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: failed to read the schema: {error}")))?;
        output::json(&part)?;
    } else {
        output::write(SCHEMA)?;
    }
    Ok(Exit::Done)
}

/// `$defs/conf_d` as a schema of its own. It keeps the other definitions, to which it refers.
fn conf_d(whole: &str) -> Result<Map<String, Value>, serde_json::Error> {
    let whole: Map<String, Value> = serde_json::from_str(whole)?;
    let part = whole.get("$defs").and_then(|parts| parts.get("conf_d")).and_then(Value::as_object);
    let mut schema = part.cloned().unwrap_or_default();
    schema.extend(whole.into_iter().filter(|(key, _)| matches!(key.as_str(), "$schema" | "$defs")));
    Ok(schema)
}
