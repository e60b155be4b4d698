//! The story on a terminal: a timeline of each policy, and a table that compares them.

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::simulate::{Aim, HORIZON_DAYS, Outage, Suggestion, Worth, ages_at, ends_of_days};

use super::super::output::{Table, count};
use super::scale::{Scale, span};
use super::told::{Story, Told, Tried};

/// The columns of a timeline.
const WIDTH: usize = 56;
/// So many rows a timeline has at most, as long as a row stands for no more than four weeks.
const ROWS_MAX: u32 = 70;
/// A restore point.
const DOT: char = '●';

pub(super) fn render(story: &Story, color: bool) -> String {
    let mut text = String::new();
    for told in &story.told {
        text.push_str(&timeline(told, &story.scale(), story.days, color));
        text.push('\n');
    }
    text.push_str(&draw(&compared(&story.told), color));
    for told in &story.told {
        if told.suggested.is_some() {
            text.push('\n');
            text.push_str(&suggestions(told, color));
        }
    }
    text
}

fn draw(table: &Table, color: bool) -> String {
    if color { table.render_in_color() } else { table.render() }
}

/// How many days a row stands for.
fn days_a_row(days: u32) -> usize {
    [1, 7].into_iter().find(|step| days.div_ceil(*step) <= ROWS_MAX).unwrap_or(28) as usize
}

/// The end of a day with the ages of what is there.
struct Row {
    end: Timestamp,
    ages: Vec<SignedDuration>,
}

fn timeline(told: &Told, scale: &Scale, days: u32, color: bool) -> String {
    let zone = told.policy.schedule.time_zone();
    let all: Vec<Row> = ends_of_days(told.from, told.until, zone).map(|end| Row { end, ages: ages_at(&told.played.lives, end) }).collect();
    let step = days_a_row(days);
    let (bold, plain) = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let schedule: Vec<String> = told.policy.schedule.texts().map(|text| format!("\"{text}\"")).collect();
    let each = match step {
        1 => "at the end of each day",
        7 => "at the end of that day of each week on which they reached back least",
        _ => "at the end of that day of each four weeks on which they reached back least",
    };
    let mut text = format!("{bold}{}{plain}: keep {}, schedule {}\n", told.name(), told.policy.keep, schedule.join(", "));
    text.push_str(&format!("The restore points by their age, {each}:\n{bold}{:10}  {}{plain}\n", "", axis(scale)));
    for rows in all.chunks(step) {
        // Before there is anything, nothing reaches back least.
        let shown = rows.iter().min_by_key(|row| row.ages.last().copied().unwrap_or(SignedDuration::ZERO));
        text.push_str(&shown.map(|row| line(told, row, scale, color)).unwrap_or_default());
    }
    text
}

fn axis(scale: &Scale) -> String {
    let mut line = vec![' '; WIDTH + 6];
    for (place, label) in scale.ticks(0.09) {
        let column = column(place);
        let cells = line.iter_mut().skip(column).zip(label.chars());
        cells.for_each(|(cell, letter)| *cell = letter);
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

fn column(place: f64) -> usize {
    (place * (WIDTH - 1) as f64).round() as usize
}

fn line(told: &Told, row: &Row, scale: &Scale, color: bool) -> String {
    let mut cells = vec![' '; WIDTH];
    scale.ticks(0.09).into_iter().for_each(|(place, _)| cells[column(place)] = '·');
    row.ages.iter().for_each(|age| cells[column(scale.place(*age))] = DOT);
    let fails = told.aftermath.as_ref().is_some_and(|told| told.outage.from < row.end && row.end <= told.outage.until);
    let (dot, faint, red, plain) =
        if color { ("\x1b[32m●\x1b[0m", "\x1b[2m·\x1b[0m", "\x1b[31m", "\x1b[0m") } else { ("●", "·", "", "") };
    let cell = |cell: char| match cell {
        DOT => dot.to_owned(),
        '·' => faint.to_owned(),
        other => other.to_string(),
    };
    let cells: String = cells.into_iter().map(cell).collect();
    let reach = row.ages.last().map_or_else(String::new, |age| format!(", back to {}", span(*age)));
    let fails = if fails { format!("  {red}creates fail{plain}") } else { String::new() };
    format!("{}  {cells}  {}{reach}{fails}\n", date(told, row.end), row.ages.len())
}

/// The day that ends then.
fn date(told: &Told, end: Timestamp) -> String {
    let last = end.checked_sub(SignedDuration::from_secs(1)).unwrap_or(end);
    Zoned::new(last, told.policy.schedule.time_zone().clone()).strftime("%Y-%m-%d").to_string()
}

fn compared(all: &[Told]) -> Table {
    let names: Vec<String> = all.iter().map(Told::name).collect();
    let headings: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new(&headings);
    let mut row = |label: &str, cell: Cell<'_>| {
        let cells: Vec<String> = std::iter::once(label.to_owned()).chain(all.iter().map(cell)).collect();
        table.row(&cells);
    };
    row("keep", &|told| told.policy.keep.to_string());
    row("slots", &|told| format!("{}, {} left free", told.calm.cap, told.policy.leave_free));
    row("reaches back at least", &|told| reach(told.worth));
    row("widest gap as a ratio", &|told| ratio(told.worth));
    row("settled from", &|told| told.facts.settled_at.map_or_else(|| "not yet: the first is still there".to_owned(), |at| date(told, at)));
    row("restore points then", &|told| points(told.facts.points));
    row("oldest then", &|told| told.facts.oldest.map_or_else(dash, |(least, most)| format!("{} to {}", span(least), span(most))));
    row("widest gap", &|told| told.facts.widest_gap.map_or_else(dash, |gap| span(gap.length())));
    row("creates a day", &|told| format!("{:.1}", told.a_day(told.calm.creates)));
    row("deletes a day", &|told| format!("{:.1}", told.a_day(told.calm.deletes)));
    row("calls a day, runs", &|told| format!("{:.1}", told.run_calls));
    row("calls a day, shared", &|told| format!("{:.1}", told.watching_calls));
    row("cap reached", &|told| times(told.calm.cap_reached));
    row("room made", &|told| times(told.calm.room_made));
    row("blocked runs", &|told| times(told.calm.blocked));
    row("missed slots", &|told| times(told.calm.missed));
    if all.iter().any(|told| told.aftermath.is_some()) {
        outage_rows(&mut row);
    }
    table
}

/// What a row of the table says of one policy.
type Cell<'a> = &'a dyn Fn(&Told) -> String;

fn outage_rows(row: &mut dyn FnMut(&str, Cell<'_>)) {
    let at = |told: &Told, times: Option<(&[Timestamp], Timestamp)>| {
        times.map_or_else(dash, |(times, at)| match (times.first(), times.last()) {
            (Some(newest), Some(oldest)) => {
                let (newest, oldest) = (at.duration_since(*newest), at.duration_since(*oldest));
                format!("{}, {} to {} old", times.len(), span(newest), span(oldest))
            }
            _ => format!("none on {}", date(told, at)),
        })
    };
    let day = |told: &Told, at: Timestamp| Zoned::new(at, told.policy.schedule.time_zone().clone()).strftime("%Y-%m-%d").to_string();
    row("outage", &|told| {
        let length = |outage: Outage| span(outage.until.duration_since(outage.from));
        told.aftermath.as_ref().map_or_else(dash, |after| format!("{} from {} on", length(after.outage), day(told, after.outage.from)))
    });
    row("  before it", &|told| at(told, told.aftermath.as_ref().map(|after| (after.before.as_slice(), after.outage.from))));
    row("  in its middle", &|told| at(told, told.aftermath.as_ref().map(|after| (after.middle.as_slice(), after.outage.middle()))));
    row("  at its end", &|told| at(told, told.aftermath.as_ref().map(|after| (after.end.as_slice(), after.outage.until))));
    row("  items that failed", &|told| told.aftermath.as_ref().map_or_else(dash, |after| after.failed.to_string()));
    row("  next restore point", &|told| told.aftermath.as_ref().and_then(|after| after.first_after).map_or_else(dash, |at| day(told, at)));
    row("  as if it had not been", &|told| {
        told.aftermath
            .as_ref()
            .map_or_else(dash, |after| after.as_before_at.map_or_else(|| "not within the time".to_owned(), |at| date(told, at)))
    });
}

fn reach(worth: Option<Worth>) -> String {
    worth.map_or_else(|| format!("unsettled after {HORIZON_DAYS} days"), |worth| span(worth.reach))
}

fn ratio(worth: Option<Worth>) -> String {
    worth.map_or_else(dash, |worth| format!("{:.1}", worth.ratio))
}

fn points(points: Option<(usize, usize)>) -> String {
    points.map_or_else(dash, |(least, most)| if least == most { least.to_string() } else { format!("{least} to {most}") })
}

/// How often something happened.
pub(super) fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn suggestions(told: &Told, color: bool) -> String {
    let Some((found, tried)) = &told.suggested else { return String::new() };
    let rules: Vec<String> = found.rules.iter().map(ToString::to_string).collect();
    let mut table = Table::new(&["GOOD AT", "KEEP", "REACHES BACK", "RATIO", "POINTS", "OLDEST", "WIDEST GAP"]);
    let mut row = |aim: &str, keep: String, worth: Option<Worth>, facts: &crate::simulate::Facts| {
        let oldest = facts.oldest.map_or_else(dash, |(least, most)| format!("{} to {}", span(least), span(most)));
        let gap = facts.widest_gap.map_or_else(dash, |gap| span(gap.length()));
        table.row(&[aim.to_owned(), keep, reach(worth), ratio(worth), points(facts.points), oldest, gap]);
    };
    row("(as it is)", told.policy.keep.to_string(), told.worth, &told.facts);
    for (suggestion, Tried { facts, .. }) in found.suggestions.iter().zip(tried) {
        row(&aims(suggestion), suggestion.keep.to_string(), Some(suggestion.worth), facts);
    }
    let head = format!(
        "{}: all {} of {} among {} were tried, over {HORIZON_DAYS} days\n",
        told.name(),
        count(found.tried, "split", "splits"),
        count(found.slots as usize, "slot", "slots"),
        rules.join(", ")
    );
    head + &draw(&table, color)
}

fn aims(suggestion: &Suggestion) -> String {
    let word = |aim: &Aim| match aim {
        Aim::Furthest => "reaching furthest back",
        Aim::ShortestGaps => "short gaps",
        Aim::Balanced => "both, balanced",
        Aim::Better => "better than now on both",
    };
    suggestion.aims.iter().map(word).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::told::{Asked, Story};
    use super::*;

    fn story() -> Story {
        let config = crate::config::load(std::path::Path::new("docs/pictures/five-slots.yaml"), Timestamp::UNIX_EPOCH).unwrap();
        let setup = config.setup();
        let outage = Some(std::time::Duration::from_secs(2 * 86_400));
        let policies = ["two-and-two".to_owned()];
        let asked = Asked { policies: &policies, days: 20, from: Some("2026-01-01"), outage, suggest: true };
        Story::play(&setup, Timestamp::UNIX_EPOCH, &asked).unwrap()
    }

    #[test]
    fn colours_change_nothing_that_is_read() {
        let story = story();
        let (plain, colored) = (render(&story, false), render(&story, true));
        assert!(!plain.contains('\x1b') && colored.contains("\x1b[32m●\x1b[0m") && colored.contains("\x1b[31mcreates fail"), "{colored}");
        let mut pieces = colored.split('\x1b');
        let first = pieces.next().unwrap().to_owned();
        let read = pieces.fold(first, |read, piece| read + piece.split_once('m').unwrap().1);
        assert_eq!(read, plain);
    }

    #[test]
    fn a_dot_stands_for_each_restore_point() {
        let story = story();
        let shown = timeline(&story.told[0], &story.scale(), story.days, false);
        for row in shown.lines().skip(3) {
            let count: usize = row.split("  ").find_map(|part| part.split(',').next()?.trim().parse().ok()).unwrap();
            assert!(row.chars().filter(|cell| *cell == DOT).count() == count && count > 0, "{row}");
        }
    }

    #[test]
    fn a_row_is_a_day_a_week_or_four() {
        assert_eq!([1, 70, 71, 365, 490, 491, 4000].map(days_a_row), [1, 1, 7, 7, 7, 28, 28]);
    }
}
