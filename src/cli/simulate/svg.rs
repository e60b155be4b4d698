//! The story as a picture: date from left to right, age upwards, a line for the life of each restore point. It needs nothing besides itself.

use jiff::{SignedDuration, Span, Timestamp, Zoned};

use crate::simulate::{HORIZON_DAYS, Life};

use super::scale::{Scale, span};
use super::text::times;
use super::told::{Story, Told};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = 220.0;
/// From the top of a panel to its plot.
const HEAD: f64 = 74.0;
/// A panel in all.
const PANEL: f64 = HEAD + PLOT + 86.0;
const LEGEND: f64 = 48.0;
const TOP: f64 = 12.0;
/// The dates below a plot are about so many.
const DATES: i64 = 13;

const STYLE: &str = "
svg{color-scheme:light dark}
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif;font-size:13px;fill:#3d444d}
.page{fill:#ffffff}.plot{fill:#f6f8fa}
.title{font-size:18px;font-weight:600;fill:#1f2328}.small{font-size:12px;fill:#59636e}.number{font-weight:600;fill:#1f2328}
.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#818b98;stroke-width:1}
.reach{fill:#0969da;fill-opacity:.09}
.life{fill:none;stroke:#0969da;stroke-opacity:.75;stroke-linejoin:round}
.gone{fill:#ffffff;stroke:#0969da}.there{fill:#0969da}
.outage{fill:#cf222e;fill-opacity:.13}.fails{fill:#a40e26;font-size:12px}
@media (prefers-color-scheme:dark){
text{fill:#c3cbd4}.page{fill:#0d1117}.plot{fill:#151b23}.title,.number{fill:#f0f6fc}.small{fill:#9198a1}
.grid{stroke:#2b323b}.axis{stroke:#656c76}.reach{fill:#4493f8;fill-opacity:.13}.life{stroke:#4493f8}
.gone{fill:#0d1117;stroke:#4493f8}.there{fill:#4493f8}.outage{fill:#f85149;fill-opacity:.2}.fails{fill:#ff9d96}
}
";

pub(super) fn render(story: &Story) -> String {
    let height = TOP + PANEL * story.told.len() as f64 + LEGEND;
    let names: Vec<String> = story.told.iter().map(Told::name).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        escaped(&format!("Restore points under the policy {}", names.join("; "))),
        escaped(&description(story)),
    );
    let scale = story.scale().with_room(1.08);
    for (place, told) in story.told.iter().enumerate() {
        panel(&mut svg, told, scale, TOP + PANEL * place as f64);
    }
    legend(&mut svg, height - LEGEND, story.told.iter().any(|told| told.aftermath.is_some()));
    svg.push_str("</svg>\n");
    svg
}

fn description(story: &Story) -> String {
    let about = story.told.iter().map(|told| format!("{}: keep {}; {}.", told.name(), told.policy.keep, promise(told)));
    let about: Vec<String> = about.collect();
    format!("Each line is a restore point, from its making to its delete; date from left to right, age upwards. {}", about.join(" "))
}

/// What the policy promises.
fn promise(told: &Told) -> String {
    match told.worth {
        Some(worth) => format!("reaches back at least {}, widest gap as a ratio {:.1}", span(worth.reach), worth.ratio),
        None => format!("unsettled after {HORIZON_DAYS} days"),
    }
}

/// Where things are in a plot.
struct Plot {
    top: f64,
    from: Timestamp,
    length: f64,
    scale: Scale,
}

impl Plot {
    fn x(&self, time: Timestamp) -> f64 {
        let part = time.duration_since(self.from).as_secs_f64() / self.length;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, place: f64) -> f64 {
        self.top + PLOT * (1.0 - place)
    }

    fn age(&self, age: SignedDuration) -> f64 {
        self.y(self.scale.place(age))
    }
}

fn panel(svg: &mut String, told: &Told, scale: Scale, top: f64) {
    let length = told.until.duration_since(told.from).as_secs_f64().max(1.0);
    let plot = Plot { top: top + HEAD, from: told.from, length, scale };
    let schedule: Vec<&str> = told.policy.schedule.texts().collect();
    let zone = told.policy.schedule.time_zone().iana_name().unwrap_or("UTC");
    let head = format!(
        "keep {} · schedule {} ({zone}) · {} slots, {} left free",
        told.policy.keep,
        schedule.join(", "),
        told.calm.cap,
        told.policy.leave_free
    );
    text(svg, "title", LEFT, top + 26.0, "start", &told.name());
    text(svg, "small", LEFT, top + 48.0, "start", &head);
    text(svg, "small", LEFT - 8.0, plot.top - 8.0, "end", "age");
    grid(svg, told, &plot);
    outage(svg, told, &plot);
    reach(svg, told, &plot);
    told.played.lives.iter().for_each(|life| draw_life(svg, told, &plot, life));
    numbers(svg, told, plot.top + PLOT + 46.0);
}

fn grid(svg: &mut String, told: &Told, plot: &Plot) {
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, plot.top + PLOT);
    let width = right - left;
    put(svg, format_args!("<rect class=\"plot\" x=\"{left}\" y=\"{:.1}\" width=\"{width}\" height=\"{PLOT}\"/>", plot.top));
    for (place, label) in plot.scale.ticks(0.075) {
        let y = plot.y(place);
        let class = if place > 0.0 { "grid" } else { "axis" };
        put(svg, format_args!("<line class=\"{class}\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
        text(svg, "small", left - 8.0, y + 4.0, "end", label);
    }
    for (time, label) in dates(told) {
        let x = plot.x(time);
        put(svg, format_args!("<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\"/>", bottom + 5.0));
        // What would not fit beside the edge ends there.
        let (x, anchor) = if x > WIDTH - 2.0 * RIGHT { (WIDTH - 4.0, "end") } else { (x, "middle") };
        text(svg, "small", x, bottom + 19.0, anchor, &label);
    }
}

/// Dates worth naming: beginnings of months, or days at even distances where there are few months.
fn dates(told: &Told) -> Vec<(Timestamp, String)> {
    let zone = told.policy.schedule.time_zone();
    let from = told.from.to_zoned(zone.clone());
    let days = told.until.duration_since(told.from).as_hours() / 24;
    let months = days / 30;
    let (first, step) = if months >= 5 {
        let first = from.first_of_month().and_then(|first| first.start_of_day());
        (first, Span::new().months((months + DATES - 1) / DATES))
    } else {
        (Ok(from), Span::new().days([1, 2, 7, 14].into_iter().find(|step| days / step <= DATES).unwrap_or(14)))
    };
    let mut found: Vec<(Timestamp, String)> = Vec::new();
    let mut next: Option<Zoned> = first.ok();
    let mut year = None;
    while let Some(time) = next.filter(|time| time.timestamp() <= told.until) {
        if time.timestamp() >= told.from {
            let pattern = if year == Some(time.year()) { "%-d %b" } else { "%-d %b %Y" };
            year = Some(time.year());
            found.push((time.timestamp(), time.strftime(pattern).to_string()));
        }
        next = time.checked_add(step).ok();
    }
    found
}

fn outage(svg: &mut String, told: &Told, plot: &Plot) {
    let Some(outage) = told.aftermath.as_ref().map(|after| after.outage) else { return };
    let (left, right) = (plot.x(outage.from), plot.x(outage.until));
    let width = (right - left).max(1.0);
    put(svg, format_args!("<rect class=\"outage\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{PLOT}\"/>", plot.top));
    text(svg, "fails", left + width / 2.0, plot.top - 8.0, "middle", "creates fail");
}

/// The area below the oldest.
fn reach(svg: &mut String, told: &Told, plot: &Plot) {
    let mut path = String::new();
    let mut time = told.played.lives.first().map(|life| life.completed_at);
    while let Some(from) = time.filter(|time| *time < told.until) {
        let there = told.played.lives.iter().filter(|life| life.is_there(from));
        let Some(oldest) = there.min_by_key(|life| life.created_at) else { break };
        let until = oldest.deleted_at.unwrap_or(told.until);
        if path.is_empty() {
            path.push_str(&format!("M{:.1} {:.1}", plot.x(from), plot.y(0.0)));
        }
        curve(&mut path, plot, oldest, (from, until));
        time = Some(until);
    }
    if !path.is_empty() {
        put(svg, format_args!("<path class=\"reach\" d=\"{path}L{:.1} {:.1}Z\"/>", plot.x(told.until), plot.y(0.0)));
    }
}

/// Adds how a restore point ages to a path.
fn curve(path: &mut String, plot: &Plot, life: &Life, (from, until): (Timestamp, Timestamp)) {
    let steps = ((plot.x(until) - plot.x(from)) / 6.0).ceil().clamp(3.0, 24.0) as i32;
    let length = until.duration_since(from).as_secs_f64();
    for step in 0..=steps {
        // More points where the line bends most.
        let part = (f64::from(step) / f64::from(steps)).powi(2);
        let time = from.checked_add(SignedDuration::from_secs((length * part) as i64)).unwrap_or(until);
        let letter = if path.is_empty() { "M" } else { "L" };
        path.push_str(&format!("{letter}{:.1} {:.1}", plot.x(time), plot.age(time.duration_since(life.created_at))));
    }
}

fn draw_life(svg: &mut String, told: &Told, plot: &Plot, life: &Life) {
    let end = life.deleted_at.unwrap_or(told.until);
    let age = end.duration_since(life.created_at);
    let mut path = String::new();
    curve(&mut path, plot, life, (life.created_at, end));
    let (x, y) = (plot.x(end), plot.age(age));
    // So that neighbours do not run into each other.
    let room = (WIDTH - LEFT - RIGHT) / told.played.lives.len().max(1) as f64;
    let (class, radius) = if life.deleted_at.is_some() { ("gone", (room * 0.4).clamp(0.8, 1.9)) } else { ("there", 3.2) };
    let width = (room * 0.3).clamp(0.5, 1.4);
    let day = |time: Timestamp| time.to_zoned(told.policy.schedule.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let fate = life.deleted_at.map_or_else(|| "there at the end".to_owned(), |at| format!("deleted {}", day(at)));
    put(
        svg,
        format_args!(
            "<g stroke-width=\"{width:.1}\"><title>{}, {fate}, {} old</title><path class=\"life\" d=\"{path}\"/>\
             <circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/></g>",
            day(life.created_at),
            span(age)
        ),
    );
}

/// The measures, as text.
fn numbers(svg: &mut String, told: &Told, y: f64) {
    let counted = |count: Option<(usize, usize)>| match count {
        Some((least, most)) if least == most => least.to_string(),
        Some((least, most)) => format!("{least} to {most}"),
        None => told.calm.lives.iter().filter(|life| life.deleted_at.is_none()).count().to_string(),
    };
    let gap = told.facts.widest_gap.map_or_else(|| "–".to_owned(), |gap| span(gap.length()));
    let reach = told.worth.map_or_else(|| "unsettled".to_owned(), |worth| span(worth.reach));
    let ratio = told.worth.map_or_else(|| "–".to_owned(), |worth| format!("{:.1}", worth.ratio));
    let all = [
        ("restore points", counted(told.facts.points)),
        ("reaches back at least", reach),
        ("widest gap", gap),
        ("widest gap as a ratio", ratio),
        ("calls a day, + shared", format!("{:.0} + {:.0}", told.run_calls, told.watching_calls)),
        ("room made", times(told.calm.room_made)),
    ];
    let step = (WIDTH - LEFT - RIGHT) / all.len() as f64;
    for (place, (label, number)) in all.iter().enumerate() {
        let x = LEFT + step * place as f64;
        text(svg, "number", x, y, "start", number);
        text(svg, "small", x, y + 17.0, "start", label);
    }
}

fn legend(svg: &mut String, top: f64, with_outage: bool) {
    let y = top + 24.0;
    let mut x = LEFT;
    put(svg, format_args!("<path class=\"life\" stroke-width=\"1.4\" d=\"M{x} {:.1}L{:.1} {:.1}\"/>", y + 3.0, x + 22.0, y - 11.0));
    text(svg, "small", x + 28.0, y, "start", "a restore point as it ages");
    x += 210.0;
    put(svg, format_args!("<circle class=\"gone\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\"/>", x + 8.0, y - 4.0));
    text(svg, "small", x + 18.0, y, "start", "deleted");
    x += 90.0;
    put(svg, format_args!("<circle class=\"there\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\"/>", x + 8.0, y - 4.0));
    text(svg, "small", x + 18.0, y, "start", "there at the end");
    x += 140.0;
    put(svg, format_args!("<rect class=\"reach\" x=\"{x}\" y=\"{:.1}\" width=\"18\" height=\"12\"/>", y - 10.0));
    text(svg, "small", x + 24.0, y, "start", "as far as one can go back");
    if with_outage {
        x += 200.0;
        put(svg, format_args!("<rect class=\"outage\" x=\"{x}\" y=\"{:.1}\" width=\"18\" height=\"12\"/>", y - 10.0));
        text(svg, "small", x + 24.0, y, "start", "outage");
    }
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, content: &str) {
    let content = escaped(content);
    put(svg, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>"));
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    svg.push_str(&format!("{element}\n"));
}

/// Safe between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
