//! Values of the core as JSON has them: numbers, words and texts. For `#[serde(with = "plain")]`; the core itself knows no serde.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::fact::Target;
use crate::domain::globs::Globs;
use crate::domain::hook::HookSide;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::problem::{AccountReason, OpResult, Problem, Reason, RunResult};
use crate::domain::record::OpId;

/// A value with a plain form.
pub(super) trait Plain: Sized {
    /// What stands in the JSON.
    type Form: Serialize + DeserializeOwned;
    /// Its form.
    fn form(&self) -> Self::Form;
    /// The value of a form; none if there is no such value.
    fn of(form: Self::Form) -> Option<Self>;
}

pub(super) fn serialize<T: Plain, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.form().serialize(serializer)
}

pub(super) fn deserialize<'de, T: Plain, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let form = T::Form::deserialize(deserializer)?;
    T::of(form).ok_or_else(|| D::Error::custom(format_args!("no {}", std::any::type_name::<T>())))
}

macro_rules! words_are_plain {
    ($($name:ty),*) => {
        $(impl Plain for $name {
            type Form = String;
            fn form(&self) -> String {
                self.as_str().to_owned()
            }
            fn of(form: String) -> Option<$name> {
                Self::from_word(&form)
            }
        })*
    };
}

words_are_plain!(RunResult, OpResult, Reason, AccountReason, HookSide);

impl Plain for Kind {
    type Form = String;
    fn form(&self) -> String {
        self.as_str().to_owned()
    }
    fn of(form: String) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == form)
    }
}

macro_rules! numbers_are_plain {
    ($($name:ident),*) => {
        $(impl Plain for $name {
            type Form = u64;
            fn form(&self) -> u64 {
                self.0
            }
            fn of(form: u64) -> Option<$name> {
                Some($name(form))
            }
        })*
    };
}

numbers_are_plain!(ServerId, ItemId, OpId);

impl Plain for Timestamp {
    type Form = String;
    fn form(&self) -> String {
        self.to_string()
    }
    fn of(form: String) -> Option<Timestamp> {
        form.parse().ok()
    }
}

impl Plain for Arc<str> {
    type Form = String;
    fn form(&self) -> String {
        (**self).to_owned()
    }
    fn of(form: String) -> Option<Arc<str>> {
        Some(form.into())
    }
}

impl Plain for Globs {
    type Form = Vec<String>;
    fn form(&self) -> Vec<String> {
        self.texts().map(str::to_owned).collect()
    }
    fn of(form: Vec<String>) -> Option<Globs> {
        Globs::new(&form).ok()
    }
}

impl<T: Plain> Plain for Option<T> {
    type Form = Option<T::Form>;
    fn form(&self) -> Option<T::Form> {
        self.as_ref().map(T::form)
    }
    fn of(form: Option<T::Form>) -> Option<Option<T>> {
        match form {
            Some(form) => T::of(form).map(Some),
            None => Some(None),
        }
    }
}

impl<T: Plain> Plain for Vec<T> {
    type Form = Vec<T::Form>;
    fn form(&self) -> Vec<T::Form> {
        self.iter().map(T::form).collect()
    }
    fn of(form: Vec<T::Form>) -> Option<Vec<T>> {
        form.into_iter().map(T::of).collect()
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TargetForm {
    server: u64,
    name: String,
    kind: String,
    policy: String,
}

impl Plain for Target {
    type Form = TargetForm;
    fn form(&self) -> TargetForm {
        TargetForm { server: self.server.0, name: self.server_name.form(), kind: self.kind.form(), policy: self.policy.form() }
    }
    fn of(form: TargetForm) -> Option<Target> {
        let kind = Kind::of(form.kind)?;
        Some(Target { server: ServerId(form.server), server_name: form.name.into(), kind, policy: form.policy.into() })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ProblemForm {
    reason: String,
    detail: String,
}

impl Plain for Problem {
    type Form = ProblemForm;
    fn form(&self) -> ProblemForm {
        ProblemForm { reason: self.reason.form(), detail: self.detail.clone() }
    }
    fn of(form: ProblemForm) -> Option<Problem> {
        Some(Problem { reason: Reason::of(form.reason)?, detail: form.detail })
    }
}
