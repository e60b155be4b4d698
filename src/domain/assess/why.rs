//! Why an item has its verdict: in a few words for programs, in a sentence for people.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::slice;

use crate::domain::retention::Ruling;

/// Why an item has its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Retention has ruled so.
    Ruled(Ruling),
    /// The newest restore point stays, whatever retention says.
    Newest,
    /// So many stay, whatever retention says (`min_keep`).
    MinKeep(u32),
    /// It makes room, for retention has ruled so.
    MakesRoom {
        /// With the coming one among the others.
        with_new: bool,
        /// How.
        ruling: Ruling,
    },
    /// Something else, in words.
    Told(Cow<'static, str>),
}

/// The reasons of one verdict: nearly always one. A slice of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reasons {
    /// The only one.
    One(Why),
    /// Several.
    More(Vec<Why>),
}

impl Reasons {
    /// Adds one that is told before the others.
    pub fn put_first(&mut self, why: Why) {
        *self = Reasons::More([&[why], &**self].concat());
    }
}

impl Deref for Reasons {
    type Target = [Why];

    fn deref(&self) -> &[Why] {
        match self {
            Reasons::One(why) => slice::from_ref(why),
            Reasons::More(reasons) => reasons,
        }
    }
}

impl From<Why> for Reasons {
    fn from(why: Why) -> Reasons {
        Reasons::One(why)
    }
}

impl Why {
    /// The reason as it is told to people, to be read after the verdict and a colon.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Why::Ruled(ruling) => ruling.sentence(),
            Why::Newest => "the newest, which always stays".to_owned(),
            Why::MinKeep(1) => "the newest, which `min_keep: 1` lets nothing take".to_owned(),
            Why::MinKeep(count) => format!("one of the {count} newest, which `min_keep: {count}` lets nothing take"),
            Why::MakesRoom { .. } => self.to_string(),
            Why::Told(words) => words.to_string(),
        }
    }
}

/// Several reasons in one sentence.
#[must_use]
pub fn sentence(reasons: &[Why]) -> String {
    reasons.iter().map(Why::sentence).collect::<Vec<_>>().join("; ")
}

/// Why an item makes room that retention drops for these reasons once the coming one is among the others.
#[must_use]
pub fn makes_room(reasons: &[Why]) -> Why {
    match reasons {
        [Why::Ruled(ruling)] => Why::MakesRoom { with_new: true, ruling: *ruling },
        _ => format!("{}{}", room_lead(true), sentence(reasons)).into(),
    }
}

fn room_lead(with_new: bool) -> &'static str {
    if with_new { "makes room: with the new one, " } else { "makes room: " }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Ruled(ruling) => ruling.fmt(f),
            Why::Newest => f.write_str("the newest"),
            Why::MinKeep(count) => write!(f, "min_keep {count}"),
            Why::MakesRoom { with_new, ruling } => write!(f, "{}{}", room_lead(*with_new), ruling.sentence()),
            Why::Told(words) => f.write_str(words),
        }
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Why {
    fn from(words: T) -> Why {
        Why::Told(words.into())
    }
}
