//! The `Retry-After` header: seconds, or a date (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The shortest pause that a header can ask for.
pub const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause that a header can ask for; longer ones are cut, so that a slip of the provider does not stop us for days.
pub const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// The pause that the header asks for, between [`PAUSE_MIN`] and [`PAUSE_MAX`]; none if it is neither seconds nor a date.
///
/// `now` is what a date is compared with: best the answer's own `Date`, so that the clocks here and there need not agree.
#[must_use]
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let pause = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are still a number, and a large one.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = date(value)?;
        Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(pause.clamp(PAUSE_MIN, PAUSE_MAX))
}

/// Reads a date as HTTP headers write it.
pub(super) fn date(value: &str) -> Option<Timestamp> {
    let time: SystemTime = httpdate::parse_http_date(value.trim()).ok()?;
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<u64> {
        let now = date("Fri, 15 May 2015 15:34:21 GMT").unwrap();
        parse(value, now).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_dates() {
        assert_eq!(parsed("17"), Some(17));
        assert_eq!(parsed(" 17 "), Some(17));
        assert_eq!(parsed("Fri, 15 May 2015 15:36:21 GMT"), Some(120));
        assert_eq!(parsed("Friday, 15-May-15 15:36:21 GMT"), Some(120));
    }

    #[test]
    fn everything_is_clamped() {
        assert_eq!(parsed("0"), Some(1));
        assert_eq!(parsed("86400"), Some(3600));
        assert_eq!(parsed("99999999999999999999999999"), Some(3600));
        assert_eq!(parsed("Fri, 15 May 2015 15:34:00 GMT"), Some(1));
        assert_eq!(parsed("Fri, 15 May 2099 15:34:00 GMT"), Some(3600));
    }

    #[test]
    fn garbage_is_none() {
        for value in ["", "soon", "-1", "1.5", "+3", "1e3", "Fri, 99 May 2015 15:36:21 GMT", "٣"] {
            assert_eq!(parsed(value), None, "{value:?}");
        }
    }
}
