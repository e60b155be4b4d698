//! Text on the page: whatever comes from outside, numbers and times.

use jiff::Timestamp;
use maud::{Markup, Render, html};

use crate::telemetry::printable;

/// Text from outside: made [`printable()`], then escaped like everything that is written into the page.
pub(super) struct Text<'a>(pub &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        printable(self.0).as_ref().render_to(buffer);
    }
}

/// A sentence of our own in which `words like this` are code.
pub(super) struct Sentence(pub &'static str);

impl Render for Sentence {
    fn render_to(&self, buffer: &mut String) {
        for (index, part) in self.0.split('`').enumerate() {
            if index % 2 == 0 { part.render_to(buffer) } else { html! { code { (part) } }.render_to(buffer) }
        }
    }
}

/// A count with its thousands apart: 12,345.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 server", "2 servers".
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A time as seen from `now`, with the exact one behind it.
pub(super) fn when(time: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(whole(time)) title=(exact(time)) { (relative(time, now)) } }
}

/// A time in full.
pub(super) fn exact(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// To the second: nobody reads more.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// "3 h ago", "in 5 min", "now".
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(time.as_second());
    let span = span(seconds.unsigned_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("{span} ago"),
        _ => format!("in {span}"),
    }
}

/// A length of time in its largest unit of which there are at least two, or one.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, u64, &str); 5] = [(31_536_000, 2, "y"), (2_592_000, 2, "mo"), (86_400, 2, "d"), (3600, 2, "h"), (60, 2, "min")];
    let unit = UNITS.iter().find(|(length, least, _)| seconds >= length * least);
    unit.map_or_else(|| format!("{seconds} s"), |(length, _, name)| format!("{} {name}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        html! { b title=(Text(text)) { (Text(text)) } }.into_string()
    }

    #[test]
    fn text_from_outside_is_neither_markup_nor_misleading() {
        for (text, expected) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\"><img src=x onerror='a'>", "&quot;&gt;&lt;img src=x onerror='a'&gt;"),
            ("&lt;", "&amp;lt;"),
            ("a\u{202e}b\n\0", "a\\u{202e}b\\u{a}\\u{0}"),
            ("日本 –", "日本 –"),
        ] {
            assert_eq!(shown(text), format!("<b title=\"{expected}\">{expected}</b>"));
        }
    }

    #[test]
    fn sentences_show_their_code() {
        assert_eq!(html! { (Sentence("Set `a < b`, or not.")) }.into_string(), "Set <code>a &lt; b</code>, or not.");
    }

    #[test]
    fn times_are_told_in_a_unit_that_fits() {
        let now = Timestamp::from_second(2_000_000_000).unwrap();
        for (seconds, expected) in [
            (0, "now"),
            (1, "1 s ago"),
            (-119, "in 119 s"),
            (120, "2 min ago"),
            (3 * 3600, "3 h ago"),
            (-47 * 3600, "in 47 h"),
            (48 * 3600, "2 d ago"),
            (59 * 86_400, "59 d ago"),
            (60 * 86_400, "2 mo ago"),
            (800 * 86_400, "2 y ago"),
        ] {
            let time = Timestamp::from_second(now.as_second() - seconds).unwrap();
            assert_eq!(relative(time, now), expected);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 12_345, 1_234_567].map(count), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
