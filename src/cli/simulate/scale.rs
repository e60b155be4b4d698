//! Ages on a line: the younger, the more room, so that days and months are seen in one picture. And ages in words.

use jiff::SignedDuration;

/// The ages that may be written beside the line.
const TICKS: [(i64, &str); 17] = [
    (1, "1 h"),
    (3, "3 h"),
    (6, "6 h"),
    (12, "12 h"),
    (24, "1 d"),
    (2 * 24, "2 d"),
    (4 * 24, "4 d"),
    (7 * 24, "1 w"),
    (2 * 7 * 24, "2 w"),
    (4 * 7 * 24, "4 w"),
    (8 * 7 * 24, "8 w"),
    (13 * 7 * 24, "3 mo"),
    (26 * 7 * 24, "6 mo"),
    (365 * 24, "1 y"),
    (2 * 365 * 24, "2 y"),
    (4 * 365 * 24, "4 y"),
    (8 * 365 * 24, "8 y"),
];

/// A line from now to the oldest age.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    unit: f64,
    most: f64,
}

impl Scale {
    /// A line on which the first `unit` is easily seen and `most` just fits.
    pub fn new(unit: SignedDuration, most: SignedDuration) -> Scale {
        let unit = unit.as_secs_f64().max(60.0);
        Scale { unit, most: most.as_secs_f64().max(unit) }
    }

    /// The same with room beyond the oldest age: so many times as long.
    pub fn with_room(self, times: f64) -> Scale {
        Scale { most: self.most * times, ..self }
    }

    /// Where an age is, from 0 to 1.
    pub fn place(&self, age: SignedDuration) -> f64 {
        let log = |seconds: f64| (1.0 + seconds / self.unit).ln();
        (log(age.as_secs_f64().max(0.0)) / log(self.most)).min(1.0)
    }

    /// Ages worth naming, at least `distance` apart from each other.
    pub fn ticks(&self, distance: f64) -> Vec<(f64, &'static str)> {
        let mut found: Vec<(f64, &'static str)> = vec![(0.0, "now")];
        for (hours, label) in TICKS {
            let age = SignedDuration::from_hours(hours);
            let place = self.place(age);
            let fits = age.as_secs_f64() >= self.unit * 0.99 && age.as_secs_f64() <= self.most;
            if fits && found.last().is_some_and(|(last, _)| place - last >= distance) {
                found.push((place, label));
            }
        }
        found
    }
}

/// A time in words, rounded to hours from two days on and to minutes else.
pub fn span(time: SignedDuration) -> String {
    let minutes = (time.as_secs().max(0) + 30) / 60;
    let (many, few, ratio, total) = if minutes >= 48 * 60 { ("d", "h", 24, (minutes + 30) / 60) } else { ("h", "min", 60, minutes) };
    match (total / ratio, total % ratio) {
        (0, rest) => format!("{rest} {few}"),
        (whole, 0) => format!("{whole} {many}"),
        (whole, rest) => format!("{whole} {many} {rest} {few}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_fill_the_line_from_now_to_the_oldest() {
        let scale = Scale::new(SignedDuration::from_hours(24), SignedDuration::from_hours(24 * 15));
        let place = |days: i64| (scale.place(SignedDuration::from_hours(24 * days)) * 100.0).round() as i64;
        assert_eq!([place(0), place(1), place(3), place(7), place(15), place(99)], [0, 25, 50, 75, 100, 100]);
        let labels: Vec<&str> = scale.ticks(0.1).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["now", "1 d", "2 d", "4 d", "1 w", "2 w"]);
    }

    #[test]
    fn times_in_words() {
        let words = |minutes: i64| span(SignedDuration::from_mins(minutes));
        assert_eq!([words(0), words(59), words(60), words(24 * 60 + 5)], ["0 min", "59 min", "1 h", "24 h 5 min"]);
        assert_eq!([words(48 * 60), words(9 * 24 * 60 + 61), words(9 * 24 * 60 + 89)], ["2 d", "9 d 1 h", "9 d 1 h"]);
        assert_eq!([words(9 * 24 * 60 - 1), span(SignedDuration::from_millis(20 * 3_600_000 - 152))], ["9 d", "20 h"]);
    }
}
