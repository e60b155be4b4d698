//! The forms of a log line: one event is one line, whatever its fields hold. In front, for systemd's journal, its priority.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::registry::LookupSpan;

use super::printable::is_harmful;

/// Writes an event as one line of text: time, level, sentence, fields.
#[derive(Debug)]
pub struct TextLine<T> {
    format: Format<Full, T>,
    colour: bool,
    priority: bool,
}

impl<T> TextLine<T> {
    /// Lines that begin with the time as `timer` writes it.
    pub fn new(timer: T, colour: bool) -> TextLine<T> {
        TextLine { format: format().with_timer(timer).with_target(false).with_ansi(colour), colour, priority: false }
    }
}

impl TextLine<()> {
    /// Lines for systemd's journal: in front their priority as `<3>` (sd-daemon(3)), and no time, which the journal adds.
    pub fn for_journal() -> TextLine<()> {
        TextLine { format: format().without_time().with_target(false).with_ansi(false), colour: false, priority: true }
    }
}

impl<S, N, T> FormatEvent<S, N> for TextLine<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::with_capacity(256);
        self.format.format_event(ctx, Writer::new(&mut line), event)?;
        if self.priority {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        // Our own fields are harmless already; those of libraries pass here too. Colours are escape sequences and must stay.
        for c in line.trim_end_matches('\n').chars() {
            if is_harmful(c) && !(self.colour && c == '\u{1b}') {
                write!(writer, "{}", c.escape_unicode())?;
            } else {
                writer.write_char(c)?;
            }
        }
        writeln!(writer)
    }
}

/// Writes an event as one JSON object for systemd's journal, with the priority in front.
#[derive(Debug)]
pub struct JsonLine(Format<Json, SystemTime>);

impl JsonLine {
    /// The same object as in files.
    pub fn for_journal() -> JsonLine {
        let plain = format().json().flatten_event(true).with_current_span(false).with_span_list(false);
        JsonLine(plain.with_timer(SystemTime).with_target(false))
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, JsonFields>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(ctx, writer, event)
    }
}

/// syslog(3): 3 is an error, 4 a warning, 6 information, 7 for debugging.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}
