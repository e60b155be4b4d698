//! The hooks around a create, as they are run.

use super::policy::Hook;
use super::record::HooksBegun;
use super::words::words;

words! {
    /// One of the two hooks around a create.
    HookSide {
        /// The one before it.
        Before => "before",
        /// The one after it.
        After => "after",
    }
}

/// A hook that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCall {
    /// Which of the two.
    pub side: HookSide,
    /// The command, with the time that it may take.
    pub hook: Hook,
    /// Around which create.
    pub around: HooksBegun,
    /// An earlier process has begun this: what is left of its `before` may still be running.
    pub inherited: bool,
}

impl HookCall {
    /// What the command finds in its environment about the create (contract §1). The same for both sides.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 6] {
        let HooksBegun { subject, slot, name, .. } = &self.around;
        // A zero byte ends a variable, and none of these has one unless the provider jokes with a server's name.
        let clean = |text: &str| text.replace('\0', "");
        [
            ("SNAPWARDEN_SERVER_ID", subject.server.to_string()),
            ("SNAPWARDEN_SERVER_NAME", clean(&subject.server_name)),
            ("SNAPWARDEN_POLICY", clean(&subject.policy)),
            ("SNAPWARDEN_KIND", subject.kind.as_str().to_owned()),
            ("SNAPWARDEN_SLOT", slot.map(|slot| slot.to_string()).unwrap_or_default()),
            ("SNAPWARDEN_NAME", clean(name)),
        ]
    }
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEnd {
    /// Well.
    Done,
    /// It failed, was killed at its timeout, or could not be started: why, in words that go on after its name.
    Failed(String),
    /// It was ended because the program stops.
    Stopped,
}
