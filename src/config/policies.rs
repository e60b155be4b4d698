//! The policies of all files: defaults beneath, overrides on top, found by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::inventory::Kind;
use crate::domain::mark;
use crate::domain::policy::{Assignment, KindPolicy};

use super::diagnostics::quoted;
use super::general::WORD_HINT;
use super::kind_policy::{self, Common, section_name};
use super::report::closest;
use super::tree::{Key, Map, Node, Span, Value};

/// The keys of a policy.
pub(super) const KINDS: [&str; 2] = ["snapshots", "backups"];

/// A policy as it was written, and what became of it.
#[derive(Debug)]
pub(super) struct Policy<'n> {
    pub name: Arc<str>,
    pub at: Span,
    node: &'n Node,
    /// None: it is wrong, and reported.
    pub assignment: Option<Assignment>,
    pub used: bool,
}

/// The policies by name, and in the order of the files.
#[derive(Debug, Default)]
pub(super) struct Policies<'n> {
    pub list: Vec<Policy<'n>>,
    by_name: BTreeMap<&'n str, usize>,
    defaults: Option<&'n Map>,
}

impl<'n> Policies<'n> {
    /// Reads `defaults` and all policies. A name that is there twice is left to the caller to tell.
    pub fn read(common: &mut Common<'_>, defaults: Option<(&'n Key, &'n Node)>, written: &[(&'n Key, &'n Node)]) -> Policies<'n> {
        let mut policies = Policies::default();
        if let Some((key, node)) = defaults {
            policies.read_defaults(common, key, node);
        }
        for (key, node) in written {
            policies.add(common, key, node);
        }
        policies
    }

    fn read_defaults(&mut self, common: &mut Common<'_>, key: &Key, node: &'n Node) {
        let Some(fields) = common.report.fields("defaults", node, key.span, &KINDS) else { return };
        self.defaults = node.as_map();
        for kind in Kind::ALL {
            if let Some((key, node)) = fields.entry(section_name(kind)) {
                kind_policy::check_defaults(common, kind, node, key.span);
            }
        }
    }

    fn add(&mut self, common: &mut Common<'_>, key: &'n Key, node: &'n Node) {
        if key.name == "none" {
            common.report.error_hint(
                key.span,
                "`none` cannot be the name of a policy: `policy: none` means no policy",
                "choose another name",
            );
        } else if !mark::is_word(&key.name) {
            common.report.error_hint(key.span, format!("{} cannot be the name of a policy", quoted(&key.name)), WORD_HINT);
        }
        let name: Arc<str> = key.name.as_str().into();
        let assignment = self.convert(common, &name, node, key.span);
        self.by_name.insert(&key.name, self.list.len());
        self.list.push(Policy { name, at: key.span, node, assignment, used: false });
    }

    /// Whether a policy of this name was written.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The name that was probably meant.
    pub fn closest(&self, name: &str) -> Option<&str> {
        closest(name, self.list.iter().map(|policy| &*policy.name).chain(["none"]))
    }

    /// Reads a policy, with the defaults beneath it. None: it is wrong, and reported.
    pub fn convert(&self, common: &mut Common<'_>, name: &Arc<str>, node: &Node, at: Span) -> Option<Assignment> {
        let before = common.report.count();
        let fields = common.report.fields(&format!("policy {name}"), node, at, &KINDS)?;
        if KINDS.iter().all(|kind| fields.get(kind).node.is_none()) && common.report.count() == before {
            let hint = format!("add `snapshots:` or `backups:` under `{name}`");
            common.report.error_hint(at, format!("policy `{name}` has neither `snapshots` nor `backups`"), hint);
        }
        let mut convert = |kind| {
            let (key, node) = fields.entry(section_name(kind))?;
            let merged = self.default_of(kind).map(|defaults| defaults.overlaid(node));
            kind_policy::convert(common, name, kind, merged.as_ref().unwrap_or(node), key.span).map(Arc::new)
        };
        let assignment = Assignment { snapshot: convert(Kind::Snapshot), backup: convert(Kind::Backup) };
        (common.report.count() == before).then_some(assignment)
    }

    /// Reads a policy again with `over` on top. It keeps its name.
    pub fn convert_overridden(&self, common: &mut Common<'_>, index: usize, over: &Node) -> Option<Assignment> {
        let policy = &self.list[index];
        self.convert(common, &policy.name, &policy.node.overlaid(over), policy.at)
    }

    /// Whether a policy says anything of a kind, right or wrong.
    pub fn defines(&self, index: usize, kind: Kind) -> bool {
        self.list[index].node.as_map().is_some_and(|map| map.get(section_name(kind)).is_some())
    }

    /// Every kind of every policy that is right.
    pub fn kind_policies(&self) -> Vec<Arc<KindPolicy>> {
        let assignments = self.list.iter().filter_map(|policy| policy.assignment.as_ref());
        assignments.flat_map(|assignment| Kind::ALL.into_iter().filter_map(|kind| assignment.get(kind).cloned())).collect()
    }

    fn default_of(&self, kind: Kind) -> Option<&Node> {
        self.defaults.and_then(|map| map.get(section_name(kind)))
    }
}

/// The part of an override that is about one kind, as a policy of its own.
pub(super) fn only(over: &Node, kind: Kind) -> Option<Node> {
    let entry = over.as_map()?.entry(section_name(kind))?.clone();
    Some(Node { span: over.span, value: Value::Map(Map { entries: vec![entry] }) })
}
