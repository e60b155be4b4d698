//! What must hold of any description: the planner's reading of marks and the guard's own say the same, and only a whole mark is one.

use jiff::Timestamp;

use super::super::mark::{Mark, Origin, Reading, is_word};
use super::{MARK, whole_mark};

/// The description as it is, then a mark that is made out of its words, whole and in pieces.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = readers_agree(&text);
    let mark = match read {
        Reading::Mark(mark) => mark,
        Reading::None | Reading::Damaged => mark_of(&text),
    };
    let whole = mark.description();
    assert_eq!(readers_agree(&whole), Reading::Mark(mark), "{whole:?} is not read back");
    // Nothing before, between or after: what is more or less than the mark is another one at most where a word was made shorter or longer.
    for spoilt in [format!(" {whole}"), format!("{whole} "), format!("{whole}\n"), format!("{text} {whole}"), whole.replace(' ', "  ")] {
        assert!(!matches!(readers_agree(&spoilt), Reading::Mark(_)), "{spoilt:?} is read as a mark");
    }
    for cut in whole.char_indices().map(|(at, _)| &whole[..at]) {
        readers_agree(cut);
    }
}

/// What both readers say. A mark is written in one way only: whatever was read as one is written the same.
fn readers_agree(text: &str) -> Reading {
    let read = Mark::read(text);
    let seen = whole_mark(text);
    match &read {
        Reading::Mark(mark) => {
            let seen = seen.unwrap_or_else(|| panic!("only the planner reads {text:?} as a mark"));
            assert_eq!((&*mark.owner, mark.slot(), mark.until), (seen.owner, seen.slot, seen.until), "{text:?}");
            assert!(is_word(&mark.owner), "{text:?}");
            assert_eq!(mark.description(), text, "a mark written in another way");
        }
        Reading::None | Reading::Damaged => assert!(seen.is_none(), "only the guard reads {text:?} as a mark"),
    }
    assert_eq!(read == Reading::None, !text.starts_with(MARK), "{text:?} is {read:?}");
    read
}

/// A mark out of whatever letters and numbers there are.
fn mark_of(text: &str) -> Mark {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let word = |from: usize| {
        let end = letters.len().min(from + 20);
        letters.get(from.min(end)..end).filter(|word| !word.is_empty()).unwrap_or("x").into()
    };
    let number = |from: usize| text.bytes().skip(from).take(8).fold(0_i64, |sum, byte| sum.wrapping_mul(31).wrapping_add(i64::from(byte)));
    let time = |from: usize| Timestamp::from_millisecond(number(from)).unwrap_or(Timestamp::MAX);
    let origin = if text.len().is_multiple_of(2) { Origin::Hand { at: time(0) } } else { Origin::Slot { policy: word(20), slot: time(1) } };
    Mark { owner: word(0), origin, until: (text.len().is_multiple_of(3)).then(|| time(2)) }
}
