//! YAML → checked values (contract §1). All errors are told at once, each with its place.
//!
//! [`load`] reads files into trees of nodes that know where they stand (`tree`), and converts every policy and every server from them on its own (`report`
//! holds the readers of simple types). [`token`] finds and reads the token.

mod diagnostics;
mod duration;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod general;
mod hooks;
mod intern;
mod kind_policy;
mod mask;
mod policies;
mod report;
mod servers;
mod settings;
pub mod token;
mod tree;
mod urls;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::capacity::{self, Means};
use crate::domain::policy::{Assignment, Selector, Wanted};
use crate::domain::setup::Setup;

pub use diagnostics::{Diagnostic, Diagnostics, Place};
pub use settings::{
    Config, LeaderSettings, LogFormat, LogSettings, Notify, ProviderSettings, Rotate, STATE_DEFAULT, Surroundings, TokenSource,
};

use files::Files;
use general::{General, MAIN_KEYS};
use intern::Interner;
use kind_policy::Common;
use policies::Policies;
use report::{Field, Report};
use servers::Servers;
use tree::{Key, Node, Span, Value};

/// The JSON Schema (draft 2020-12) of the main file, for editors; `$defs/conf_d` is that of a file in `conf.d`. It says of the shape what [`load`] says, and
/// `tests/config/schema.rs` holds the two together.
pub const SCHEMA: &str = include_str!("../../config/snapwarden.schema.json");

/// Reads a duration as the files are read, for what is written elsewhere.
///
/// # Errors
/// Why it is none, and what to write instead.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|problem| [Some(problem.message), problem.hint].into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// Reads the file at `path` and every `*.yaml` in `conf.d` beside it.
///
/// `at` is only used to measure how far apart the times of a schedule are; any recent time will do.
///
/// # Errors
/// Everything that is wrong, sorted by file and line.
pub fn load(path: &Path, at: Timestamp) -> Result<Config, Diagnostics> {
    let mut report = Report::default();
    let files = Files::read(path, &mut report);
    let config = convert(path, &files, &mut report, at);
    let (findings, warnings) = report.into_parts();
    match files.diagnose(findings) {
        Some(diagnostics) => Err(diagnostics),
        None => Ok(Config { warnings: warnings.iter().map(|(span, text)| tell_warning(&files, *span, text)).collect(), ..config }),
    }
}

fn tell_warning(files: &Files, span: Span, text: &str) -> String {
    format!("{}:{}: {text}", files.locate(span), span.column)
}

/// What all files say, by section.
#[derive(Default)]
struct Written<'n> {
    defaults: Option<(&'n Key, &'n Node)>,
    policies: Vec<(&'n Key, &'n Node)>,
    /// Where each policy was first written.
    names: BTreeMap<&'n str, Span>,
    servers: Vec<&'n Node>,
    /// Something is there that cannot be read; so it is not said that nothing is there.
    policies_wrong: bool,
    servers_wrong: bool,
    /// Where the main file's map begins, and its `policies` and `servers`, empty perhaps.
    start: Option<Span>,
    policies_at: Option<Span>,
    servers_at: Option<Span>,
    provider_at: Option<Span>,
}

fn convert(path: &Path, files: &Files, report: &mut Report, at: Timestamp) -> Config {
    let mut interner = Interner::new(at);
    let mut written = Written::default();
    let general = read_files(path, files, report, &mut interner, &mut written);
    let own_count = written.servers.iter().filter(|node| has_own_policy(node)).count();
    let start = written.start.unwrap_or(Span { file: 0, line: 1, column: 1 });
    if !files.is_incomplete() {
        if written.policies.is_empty() && own_count == 0 && !written.policies_wrong {
            report.error_hint(
                written.policies_at.unwrap_or(start),
                "there are no policies: nothing would be done",
                "add `policies:` here or in a file in `conf.d`",
            );
        }
        if written.servers.is_empty() && !written.servers_wrong {
            report.error_hint(
                written.servers_at.unwrap_or(start),
                "there are no servers: nothing would be done",
                "add `servers:` here or in a file in `conf.d`",
            );
        }
    }
    let mut common = Common { report, interner: &mut interner, limits: general.limits, zone: general.zone.clone() };
    let policies = Policies::read(&mut common, written.defaults, &written.policies);
    let locate = |span| files.locate(span);
    let mut servers = Servers::new(common, policies, files.is_incomplete(), &locate);
    written.servers.iter().for_each(|node| servers.read(node));
    let config = finish(general, servers, files, start);
    if report.count() == 0
        && !files.is_incomplete()
        && let Some(shortfall) = capacity::shortfall(&capacity::demands(known_servers(&config.wanted)), &config.means(), at)
    {
        report.warn(written.provider_at.unwrap_or(start), shortfall.to_string());
    }
    config
}

/// The assignments, and how many servers have each at the least: of a `match`, only the provider knows.
fn known_servers(wanted: &Wanted) -> impl Iterator<Item = (&Assignment, u64)> {
    wanted.entries.iter().map(|entry| {
        let servers = match &entry.selector {
            Selector::Id { .. } => 1,
            Selector::Match { at_least, .. } => u64::from(*at_least),
        };
        (&entry.assignment, servers)
    })
}

impl Config {
    /// What the controller needs of it.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup {
            wanted: self.wanted.clone(),
            digest: self.digest.as_str().into(),
            account: self.provider.account.clone(),
            request_timeout: self.provider.request_timeout,
            poll_every: self.provider.poll_every,
            refresh_every: self.provider.refresh_every,
            concurrent_creates: self.provider.concurrent_creates as usize,
        }
    }

    /// What it allows the fleet.
    #[must_use]
    pub fn means(&self) -> Means {
        let provider = &self.provider;
        Means {
            concurrent_creates: provider.concurrent_creates,
            requests_per_second: provider.requests_per_second,
            poll_every: provider.poll_every,
        }
    }
}

fn finish(general: General, servers: Servers<'_, '_>, files: &Files, start: Span) -> Config {
    let Servers { common, policies, entries, own_policies, .. } = servers;
    for policy in policies.list.iter().filter(|policy| !policy.used) {
        common.report.warn(policy.at, format!("policy `{}` is used by no server", policy.name));
    }
    if !entries.is_empty() && entries.iter().all(|entry| entry.assignment.is_none()) && common.report.count() == 0 {
        common.report.error(start, "every server has `policy: none`: nothing would be done");
    }
    let mut kind_policies = policies.kind_policies();
    kind_policies.extend(own_policies);
    let wanted = Wanted {
        owner: general.owner,
        former_owners: general.former_owners,
        limits: general.limits,
        fuse: general.fuse,
        entries,
        policies: kind_policies,
    };
    Config {
        wanted,
        provider: general.provider,
        state: general.state,
        journal_keep: general.journal_keep,
        listen: general.listen,
        log: general.log,
        notify: general.notify,
        leader: general.leader,
        warnings: Vec::new(),
        sources: files.list.iter().map(|file| file.path.clone()).collect(),
        digest: files.digest(),
    }
}

fn read_files<'n>(path: &Path, files: &'n Files, report: &mut Report, interner: &mut Interner, written: &mut Written<'n>) -> General {
    let mut general = General::default();
    for file in &files.list {
        let is_main = files.main(path).is_some_and(|main| std::ptr::eq(main, file));
        let Some(tree) = &file.tree else { continue };
        if matches!(tree.value, Value::Null) {
            if is_main {
                (written.policies_wrong, written.servers_wrong) = (true, true);
                report.error_hint(tree.span, "the file is empty", "`config/` in the repository has examples");
            }
            continue;
        }
        let known: &[&str] = if is_main { &MAIN_KEYS } else { &["policies", "servers"] };
        let name = if is_main { "the file" } else { "a file in conf.d, which adds only policies and servers" };
        let Some(fields) = report.fields(name, tree, tree.span, known) else {
            (written.policies_wrong, written.servers_wrong) = (true, true);
            continue;
        };
        if is_main {
            written.start = Some(tree.span);
            written.policies_at = fields.entry("policies").map(|(key, _)| key.span);
            written.servers_at = fields.entry("servers").map(|(key, _)| key.span);
            let provider = fields.entry("provider").map_or(tree.span, |(key, _)| key.span);
            written.provider_at = Some(provider);
            general = General::read(fields, report, interner);
            general.provider.place = format!("{}:{}", files.locate(provider), provider.column);
            written.defaults = fields.entry("defaults");
        }
        collect_policies(fields.get("policies"), files, report, written);
        match report.list(fields.get("servers"), "a list") {
            Some(list) => written.servers.extend(list),
            None => written.servers_wrong = true,
        }
    }
    general
}

fn collect_policies<'n>(field: Field<'n>, files: &Files, report: &mut Report, written: &mut Written<'n>) {
    let Some(node) = field.node else { return };
    let Some(map) = node.as_map() else {
        written.policies_wrong = true;
        return report.wrong_type(field.name, node, "a map of policies by name");
    };
    for (key, node) in &map.entries {
        match written.names.get(key.name.as_str()) {
            // Within one map it has been told as a duplicate key.
            Some(first) if first.file == key.span.file => {}
            Some(first) => {
                let message = format!("policy `{}` is there twice: first at {}", diagnostics::printable(&key.name), files.locate(*first));
                report.error_hint(key.span, message, "remove one of them");
            }
            None => {
                written.names.insert(&key.name, key.span);
                written.policies.push((key, node));
            }
        }
    }
}

fn has_own_policy(node: &Node) -> bool {
    node.as_map().is_some_and(|map| policies::KINDS.iter().any(|kind| map.get(kind).is_some()))
}
