//! The entries under `servers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark;
use crate::domain::policy::{Assignment, KindPolicy, Selector, ServerEntry};

use super::diagnostics::quoted;
use super::general::WORD_HINT;
use super::kind_policy::{Common, section_name};
use super::policies::{KINDS, Policies, only};
use super::report::{Field, Fields, Report};
use super::tree::{Map, Node, Span, Value};

const KEYS: [&str; 11] =
    ["id", "name", "match", "exclude", "at_least", "policy", "override", "protect_ids", "paused_until", "snapshots", "backups"];

/// Reads one entry after the other.
pub(super) struct Servers<'a, 'n> {
    pub common: Common<'a>,
    pub policies: Policies<'n>,
    /// Whether a name that is not known may stand in a file that could not be parsed.
    pub incomplete: bool,
    pub locate: &'a dyn Fn(Span) -> String,
    /// What was read so far.
    pub entries: Vec<ServerEntry>,
    /// The policies that entries bring along (`server-<id>`).
    pub own_policies: Vec<Arc<KindPolicy>>,
    ids: BTreeMap<u64, Span>,
}

/// What `policy` names.
enum Named {
    None,
    Policies(Vec<(usize, Span)>),
}

impl<'a, 'n> Servers<'a, 'n> {
    /// None read so far.
    pub fn new(common: Common<'a>, policies: Policies<'n>, incomplete: bool, locate: &'a dyn Fn(Span) -> String) -> Servers<'a, 'n> {
        Servers { common, policies, incomplete, locate, entries: Vec::new(), own_policies: Vec::new(), ids: BTreeMap::new() }
    }

    /// Reads an entry. One that is wrong is reported and left out.
    pub fn read(&mut self, node: &Node) {
        let Some(fields) = self.common.report.fields("servers", node, node.span, &KEYS) else { return };
        let before = self.common.report.count();
        let assignment = self.read_assignment(fields);
        let is_none = assignment.as_ref().is_some_and(Assignment::is_none);
        let selector = self.read_selector(fields, is_none);
        let report = &mut *self.common.report;
        let protect_ids = read_item_ids(fields.get("protect_ids"), report);
        let paused_until = read_time(fields.get("paused_until"), report);
        if let (Some(selector), Some(assignment), true) = (selector, assignment, self.common.report.count() == before) {
            let place = (self.locate)(node.span);
            self.entries.push(ServerEntry { selector, assignment, protect_ids, paused_until, place });
        }
    }

    fn read_selector(&mut self, fields: Fields<'_>, is_none: bool) -> Option<Selector> {
        let report = &mut *self.common.report;
        match (fields.entry("id"), fields.entry("match")) {
            (Some(_), None) => self.read_id(fields),
            (None, Some(_)) => read_match(fields, is_none, report),
            (Some(_), Some((key, _))) => {
                report.error_hint(
                    key.span,
                    "a server has both `id` and `match`",
                    "make two entries of it; a server with an `id` entry belongs to that",
                );
                None
            }
            (None, None) => {
                report.error_hint(
                    fields.at,
                    "a server has neither `id` nor `match`",
                    "add `id: 12345`, or `match: \"web-*\"` to find it by name",
                );
                None
            }
        }
    }

    fn read_id(&mut self, fields: Fields<'_>) -> Option<Selector> {
        let report = &mut *self.common.report;
        for key in ["exclude", "at_least"] {
            if let Some((key, _)) = fields.entry(key) {
                report.error(key.span, format!("`{}` belongs to `match`, but this server has an `id`", key.name));
            }
        }
        let name = report.text(fields.get("name")).map(str::to_owned);
        let id = report.integer(fields.get("id"), 1..=u64::MAX)?;
        let at = fields.span("id");
        if let Some(first) = self.ids.get(&id) {
            let message = format!("server {id} is there twice: first at {}", (self.locate)(*first));
            report.error_hint(at, message, "remove one of the entries; `policy: [a, b]` takes each kind from another policy");
            return None;
        }
        self.ids.insert(id, at);
        Some(Selector::Id { id: ServerId(id), name })
    }

    /// The policies of an entry: named ones, or its own.
    fn read_assignment(&mut self, fields: Fields<'_>) -> Option<Assignment> {
        let own = KINDS.iter().find_map(|kind| fields.entry(kind));
        match (own, fields.entry("policy")) {
            (None, None) => {
                let hint = "add `policy: NAME`, or `policy: none` for a server that is never touched";
                self.common.report.error_hint(fields.at, "a server has no `policy`", hint);
                None
            }
            (Some((key, _)), Some(_)) => {
                let message = format!("a server has both `policy` and `{}` of its own", key.name);
                self.common.report.error_hint(
                    key.span,
                    message,
                    format!("write `override: {{{}: …}}` to change what the policy says", key.name),
                );
                None
            }
            (Some(_), None) => self.read_own(fields),
            (None, Some((_, node))) => {
                let named = self.read_names(node)?;
                self.assign(&named, fields)
            }
        }
    }

    /// A policy of the entry's own, called `server-<id>`.
    fn read_own(&mut self, fields: Fields<'_>) -> Option<Assignment> {
        let report = &mut *self.common.report;
        if let Some((key, _)) = fields.entry("override") {
            report.error(key.span, "`override` changes a named policy, but this server has one of its own");
        }
        if fields.entry("match").is_some() {
            let hint = "put it under `policies` and name it with `policy`";
            report.error_hint(fields.at, "a policy within the entry is only for a server with an `id`", hint);
            return None;
        }
        let Some(Value::Int(id)) = fields.get("id").node.map(|node| &node.value) else { return None };
        let name = format!("server-{id}");
        if !mark::is_word(&name) {
            report.error_hint(fields.span("id"), format!("the policy's name would be {}, which is not usable", quoted(&name)), WORD_HINT);
            return None;
        }
        if let Some(index) = self.policies.find(&name) {
            let other = (self.locate)(self.policies.list[index].at);
            report.error(fields.at, format!("the policy of this server would be called `{name}`, like the one at {other}"));
            return None;
        }
        let kinds = KINDS.iter().filter_map(|kind| fields.entry(kind)).map(|(key, node)| (key.clone(), node.clone())).collect();
        let node = Node { span: fields.at, value: Value::Map(Map { entries: kinds }) };
        let assignment = self.policies.convert(&mut self.common, &name.into(), &node, fields.at)?;
        self.own_policies.extend(Kind::ALL.into_iter().filter_map(|kind| assignment.get(kind).cloned()));
        Some(assignment)
    }

    /// `policy`: a name, a list of names, or `none`.
    fn read_names(&mut self, node: &Node) -> Option<Named> {
        if matches!(node.value, Value::Null) {
            self.common.report.error_hint(node.span, "`policy` is empty", "write `policy: none` for a server that is never touched");
            return None;
        }
        let texts = self.common.report.texts(Field { name: "policy", node: Some(node) })?;
        if texts.is_empty() {
            self.common.report.error_hint(
                node.span,
                "`policy` is an empty list",
                "write `policy: none` for a server that is never touched",
            );
            return None;
        }
        if texts.iter().any(|(text, _)| *text == "none") {
            if texts.len() > 1 {
                self.common.report.error(node.span, "`none` stands for no policy at all and cannot be in a list with others");
                return None;
            }
            return Some(Named::None);
        }
        let found: Vec<Option<(usize, Span)>> = texts.iter().map(|(text, node)| self.find(text, node.span)).collect();
        found.into_iter().collect::<Option<Vec<_>>>().map(Named::Policies)
    }

    fn find(&mut self, name: &str, at: Span) -> Option<(usize, Span)> {
        if let Some(index) = self.policies.find(name) {
            self.policies.list[index].used = true;
            return Some((index, at));
        }
        if !self.incomplete {
            let hint = match self.policies.closest(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let known: Vec<&str> = self.policies.list.iter().take(10).map(|policy| &*policy.name).collect();
                    format!("known policies: {}", known.join(", "))
                }
            };
            self.common.report.error_hint(at, format!("unknown policy {}", quoted(name)), hint);
        }
        None
    }

    fn assign(&mut self, named: &Named, fields: Fields<'_>) -> Option<Assignment> {
        let over = fields.entry("override");
        let names = match named {
            Named::None => {
                if let Some((key, _)) = over {
                    self.common.report.error(key.span, "`override` changes a policy, but this server has `policy: none`");
                }
                return Some(Assignment::default());
            }
            Named::Policies(names) => names,
        };
        if let Some((key, node)) = over {
            let before = self.common.report.count();
            self.common.report.fields("override", node, key.span, &KINDS)?;
            if self.common.report.count() > before {
                return None;
            }
        }
        let over = over.map(|(_, node)| node);
        if let Some(over) = over
            && self.goes_beyond(names, over)
        {
            return None;
        }
        match names.as_slice() {
            [(index, _)] => self.assign_one(*index, over),
            _ => self.assign_each(names, over),
        }
    }

    /// Whether an override says something of a kind that no policy of the server defines; that is reported. What it says would belong to a policy that
    /// has no such kind: no counters, and nobody who lists it.
    fn goes_beyond(&mut self, names: &[(usize, Span)], over: &Node) -> bool {
        let before = self.common.report.count();
        for kind in Kind::ALL {
            let Some(part) = only(over, kind).filter(|_| !names.iter().any(|(index, _)| self.policies.defines(*index, kind))) else {
                continue;
            };
            let whose = if names.len() == 1 { "the policy does not define" } else { "none of the policies defines" };
            let message = format!("`override` says something of `{}`, which {whose}", section_name(kind));
            self.common.report.error_hint(part.span, message, "name a policy that does as well, as in `policy: [web, nightly]`");
        }
        self.common.report.count() > before
    }

    fn assign_one(&mut self, index: usize, over: Option<&Node>) -> Option<Assignment> {
        match over {
            Some(over) => self.policies.convert_overridden(&mut self.common, index, over),
            None => self.policies.list[index].assignment.clone(),
        }
    }

    /// Each kind from the one policy that defines it.
    fn assign_each(&mut self, names: &[(usize, Span)], over: Option<&Node>) -> Option<Assignment> {
        let before = self.common.report.count();
        let mut whole = Assignment::default();
        for kind in Kind::ALL {
            let mut defining = names.iter().filter(|(index, _)| self.policies.defines(*index, kind));
            let part = over.and_then(|over| only(over, kind));
            let Some((index, _)) = defining.next() else { continue };
            if let Some((second, at)) = defining.next() {
                let (a, b) = (&self.policies.list[*index].name, &self.policies.list[*second].name);
                let message = format!("policies `{a}` and `{b}` both define `{}`", section_name(kind));
                self.common.report.error_hint(*at, message, "a server takes each kind from one policy");
                continue;
            }
            let assignment = self.assign_one(*index, part.as_ref())?;
            match kind {
                Kind::Snapshot => whole.snapshot = assignment.snapshot,
                Kind::Backup => whole.backup = assignment.backup,
            }
        }
        (self.common.report.count() == before).then_some(whole)
    }
}

fn read_match(fields: Fields<'_>, is_none: bool, report: &mut Report) -> Option<Selector> {
    if let Some((key, _)) = fields.entry("name") {
        report.error(key.span, "`name` belongs to `id`; `match` finds servers by their names itself");
    }
    let patterns = report.globs(fields.get("match"))?;
    if patterns.is_empty() {
        report.error(fields.span("match"), "`match` is an empty list");
        return None;
    }
    let exclude = report.globs(fields.get("exclude"))?;
    // That nothing is there which is never touched is no error.
    let at_least = report.count_in(fields.get("at_least"), 0..=u32::MAX).unwrap_or(u32::from(!is_none));
    Some(Selector::Match { patterns, exclude, at_least })
}

fn read_item_ids(field: Field<'_>, report: &mut Report) -> Vec<ItemId> {
    let nodes = report.list(field, "a list of numbers").unwrap_or_default();
    nodes.iter().filter_map(|node| report.integer(Field { name: field.name, node: Some(node) }, 1..=u64::MAX)).map(ItemId).collect()
}

fn read_time(field: Field<'_>, report: &mut Report) -> Option<Timestamp> {
    let text = report.text(field)?;
    match text.parse() {
        Ok(time) => Some(time),
        Err(_) => {
            let message = format!("`{}` {} is not an RFC 3339 time", field.name, quoted(text));
            report.error_hint(field.node?.span, message, "write a date, a time and a zone, as in `2026-12-01T00:00:00Z`");
            None
        }
    }
}
