//! A writer of the Prometheus text format (version 0.0.4), for what is too much to keep in a registry.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use jiff::Timestamp;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The longest label value, in characters; a longer one is cut.
const LABEL_LENGTH_MAX: usize = 200;

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(u64),
    /// Any other.
    Real(f64),
}

impl From<u32> for Number {
    fn from(value: u32) -> Number {
        Number::Whole(value.into())
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Number {
        Number::Whole(value.into())
    }
}

impl From<Timestamp> for Number {
    /// Seconds since 1970.
    fn from(time: Timestamp) -> Number {
        match u64::try_from(time.as_second()) {
            Ok(seconds) if time.subsec_nanosecond() == 0 => Number::Whole(seconds),
            _ => Number::Real(time.as_duration().as_secs_f64()),
        }
    }
}

/// The text, as it grows: one family after the other.
#[derive(Debug)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Goes on after `text`.
    #[must_use]
    pub fn new(text: String) -> Exposition {
        Exposition { text }
    }

    /// Begins a family of gauges. `name` is the whole name; no name may come twice.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a family of counters.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// The whole text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> Family<'_> {
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.text.push_str(part);
        }
        Family { text: &mut self.text, name }
    }
}

/// A family to which samples are added.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds a sample. `labels` comes from [`push_label`] and may be empty; no two samples of a family may have the same.
    pub fn sample(&mut self, labels: &str, value: impl Into<Number>) {
        self.text.push_str(self.name);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.push_str(labels);
            self.text.push('}');
        }
        // Writing to a String never fails.
        let _ = match value.into() {
            Number::Whole(value) => writeln!(self.text, " {value}"),
            Number::Real(value) => writeln!(self.text, " {value}"),
        };
    }

    /// Adds a sample with labels given one by one.
    pub fn sample_of(&mut self, labels: &[(&str, &str)], value: impl Into<Number>) {
        let mut text = String::new();
        for (name, value) in labels {
            push_label(&mut text, name, value);
        }
        self.sample(&text, value);
    }
}

/// Adds `name="value"` to the labels in `text`, after a comma unless it is the first.
pub fn push_label(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    push_first_label(text, name, value);
}

/// Adds `name="value"` without asking what stands before it.
pub fn push_first_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    for c in value.chars().take(LABEL_LENGTH_MAX) {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_cut() {
        let mut out = Exposition::new(String::new());
        out.gauge("g", "Help.").sample_of(&[("a", "x\\y\"z\n"), ("b", &"ü".repeat(LABEL_LENGTH_MAX + 1))], 7u32);
        let long = "ü".repeat(LABEL_LENGTH_MAX);
        assert_eq!(out.finish(), format!("# HELP g Help.\n# TYPE g gauge\ng{{a=\"x\\\\y\\\"z\\n\",b=\"{long}\"}} 7\n"));
    }

    #[test]
    fn times_are_whole_where_they_can_be() {
        let mut out = Exposition::new(String::new());
        let mut family = out.counter("c_total", "Help.");
        for time in ["2026-11-21T03:30:00Z", "2026-11-21T03:30:00.25Z", "1969-12-31T23:59:59.5Z"] {
            family.sample("", time.parse::<Timestamp>().unwrap());
        }
        let text = out.finish();
        let values: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(values, ["c_total 1795231800", "c_total 1795231800.25", "c_total -0.5"]);
    }
}
