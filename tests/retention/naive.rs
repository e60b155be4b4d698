//! The retention rule once more, straight from contract section 2, as simple as can be. It shares no code with the product, not even the calendar.

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Completed,
    InProgress,
    Failed,
    Unknown,
}

/// Whose mark it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Ours,
    /// No mark: `adopt` decides.
    Nobody,
    /// The mark of another installation.
    Another,
    /// The provider's own.
    Automatic,
}

/// What keeps retention's hands off it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    None,
    /// Its name matches `protect`, which looks at items without a mark only.
    Name,
    Number,
    Held,
}

/// An item, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Thing {
    pub id: u64,
    pub time: i64,
    pub slot: Option<i64>,
    pub status: Status,
    pub owner: Owner,
    pub protection: Protection,
}

/// The periods of the rules, the finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The finest first.
    pub keep: Vec<(Period, usize)>,
    pub min_keep: usize,
    pub adopts: bool,
    pub oslo: bool,
}

/// What is to become of an item, and what may be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Keep(String),
    Delete(&'static str),
    /// Any of these.
    Leave(Vec<&'static str>),
}

/// The fate of each, in the order of the things.
pub fn fates(things: &[Thing], policy: &Policy, now: i64) -> Vec<Fate> {
    let left: Vec<Vec<&'static str>> = things.iter().map(|thing| why_left(thing, policy, now)).collect();
    let mut judged: Vec<Thing> = Vec::new();
    for (thing, why) in things.iter().zip(&left) {
        if why.is_empty() && thing.status == Status::Completed {
            judged.push(*thing);
        }
    }
    judged.sort_by_key(|thing| (-thing.time, -(thing.id as i64)));
    let kept = kept(&judged, policy);
    let fate = |(thing, why): (&Thing, &Vec<&'static str>)| {
        if !why.is_empty() {
            return Fate::Leave(why.clone());
        }
        if thing.status == Status::Failed {
            let newer = judged.iter().any(|good| (good.time, good.id) > (thing.time, thing.id));
            return if newer { Fate::Delete("failed") } else { Fate::Leave(vec!["failed; stays"]) };
        }
        match kept.iter().find(|(id, _)| *id == thing.id) {
            Some((_, reason)) => Fate::Keep(reason.clone()),
            None if is_second(thing, &judged) => Fate::Delete("second"),
            None => Fate::Delete("no place"),
        }
    };
    things.iter().zip(&left).map(fate).collect()
}

/// "Left alone, with the reason told."
fn why_left(thing: &Thing, policy: &Policy, now: i64) -> Vec<&'static str> {
    let nobodys = thing.owner == Owner::Nobody;
    let reasons = [
        (thing.owner == Owner::Automatic, "automatic"),
        (thing.owner == Owner::Another, "another's mark"),
        (nobodys && thing.protection == Protection::Name, "protected name"),
        (nobodys && !policy.adopts, "others'"),
        (thing.status == Status::InProgress, "in progress"),
        (thing.status == Status::Unknown, "unknown status"),
        (thing.status == Status::Failed && thing.owner != Owner::Ours, "failed, not ours"),
        (thing.protection == Protection::Number, "protected number"),
        (thing.protection == Protection::Held, "held"),
        (thing.time > now + 5 * 60, "future"),
    ];
    reasons.into_iter().filter(|(applies, _)| *applies).map(|(_, why)| why).collect()
}

/// "Two items of one slot count once: the one with the lowest id."
fn is_second(thing: &Thing, judged: &[Thing]) -> bool {
    thing.slot.is_some() && judged.iter().any(|other| other.slot == thing.slot && other.id < thing.id)
}

/// Those of the judged ones, newest first, that stay, with the reason.
fn kept(judged: &[Thing], policy: &Policy) -> Vec<(u64, String)> {
    let counted: Vec<Thing> = judged.iter().filter(|thing| !is_second(thing, judged)).copied().collect();
    let mut kept: Vec<(u64, String)> = Vec::new();
    let stays = |kept: &[(u64, String)], id: u64| kept.iter().any(|(known, _)| *known == id);
    for (index, (period, count)) in policy.keep.iter().enumerate() {
        let mut left_over = *count;
        for thing in newest_of_each(*period, &counted, policy.oslo) {
            if left_over > 0 && !stays(&kept, thing.id) {
                left_over -= 1;
                kept.push((thing.id, format!("{} {}", word(*period), count - left_over)));
            }
        }
        let is_coarsest = index + 1 == policy.keep.len();
        if let Some(oldest) = counted.last()
            && is_coarsest
            && left_over > 0
            && !stays(&kept, oldest.id)
        {
            kept.push((oldest.id, format!("{} {} (oldest)", word(*period), count - left_over + 1)));
        }
    }
    // The newest is never deleted, and so many stay at least.
    if let Some(newest) = judged.first()
        && !stays(&kept, newest.id)
    {
        kept.push((newest.id, "the newest".to_owned()));
    }
    for thing in judged {
        if kept.len() < policy.min_keep && !stays(&kept, thing.id) {
            kept.push((thing.id, "min_keep".to_owned()));
        }
    }
    kept
}

/// The newest item of each period, newest first.
fn newest_of_each(period: Period, newest_first: &[Thing], oslo: bool) -> Vec<Thing> {
    let mut found: Vec<Thing> = Vec::new();
    for thing in newest_first {
        let same = |other: &Thing| period != Period::Last && number(period, other.time, oslo) == number(period, thing.time, oslo);
        if !found.iter().any(same) {
            found.push(*thing);
        }
    }
    found
}

fn word(period: Period) -> &'static str {
    match period {
        Period::Last => "last",
        Period::Hourly => "hourly",
        Period::Daily => "daily",
        Period::Weekly => "weekly",
        Period::Monthly => "monthly",
        Period::Yearly => "yearly",
    }
}

/// In which period a time lies. (In Oslo the clock is never set back over midnight, so that no day comes twice.)
fn number(period: Period, time: i64, oslo: bool) -> i64 {
    let local = time + if oslo { oslo_offset(time) } else { 0 };
    let day = local.div_euclid(86_400);
    match period {
        Period::Last => time,
        // The hour that is shown twice is one.
        Period::Hourly => local.div_euclid(3_600),
        Period::Daily => day,
        // 1970-01-05 was a Monday.
        Period::Weekly => (day - 4).div_euclid(7),
        Period::Monthly => year_and_month(day).0 * 12 + year_and_month(day).1,
        Period::Yearly => year_and_month(day).0,
    }
}

/// Two hours from the last Sunday of March, 01:00 UTC, to that of October, else one.
fn oslo_offset(time: i64) -> i64 {
    let (year, _) = year_and_month(time.div_euclid(86_400));
    let is_summer = last_sunday(year, 3) * 86_400 + 3_600 <= time && time < last_sunday(year, 10) * 86_400 + 3_600;
    if is_summer { 7_200 } else { 3_600 }
}

fn last_sunday(year: i64, month: i64) -> i64 {
    let last = first_day(year, month + 1) - 1;
    // 1970-01-04 was a Sunday.
    last - (last - 3).rem_euclid(7)
}

fn first_day(year: i64, month: i64) -> i64 {
    (1970..year).map(days_of_year).sum::<i64>() + (1..month).map(|month| days_of_month(year, month)).sum::<i64>()
}

fn year_and_month(mut day: i64) -> (i64, i64) {
    let (mut year, mut month) = (1970, 1);
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    (year, month)
}

/// From 1970 to 2099.
fn days_of_year(year: i64) -> i64 {
    if year % 4 == 0 { 366 } else { 365 }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 => 29,
        2 => 28,
        _ => 31,
    }
}
