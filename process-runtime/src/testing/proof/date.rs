//! Calendar dates, for the last day of a waiver. Today's date is the date in UTC. Times of day and time zones do not
//! belong here.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::testing::origin::text::one_line;

/// A day of the Gregorian calendar.
///
/// ```
/// use process_runtime::testing::Date;
///
/// let end: Date = "2026-12-31".parse()?;
/// assert!(end < Date::new(2027, 1, 1).unwrap());
/// assert_eq!(end.to_string(), "2026-12-31");
/// assert!("2026-02-29".parse::<Date>().is_err());
/// # Ok::<(), process_runtime::testing::InvalidDate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Creates a date. Months and days count from 1. Returns `None` if the calendar does not have this day, or if the
    /// year is after 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let is_day = (1..=days(year, month)?).contains(&day);
        (is_day && year <= 9999).then_some(Date { year, month, day })
    }

    /// Returns today's date, in UTC.
    pub fn today() -> Date {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Date::from_days(since.as_secs() / 86_400)
    }

    fn read(text: &str) -> Option<Date> {
        let fits =
            |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 10 || !text.bytes().enumerate().all(fits) {
            return None;
        }
        Date::new(text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?)
    }

    /// Converts days since 1970-01-01 to a date, as `civil_from_days` does in Howard Hinnant's "chrono-Compatible
    /// Low-Level Date Algorithms". Negative days are not supported. The algorithm uses years that begin in March, so
    /// that a leap day is the last day of a year.
    fn from_days(days: u64) -> Date {
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Date { year: u16::try_from(year).unwrap_or(u16::MAX), month: month as u8, day: day as u8 }
    }
}

/// A text that is not a date of the form `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid date `{0}`: write a day of the calendar as YYYY-MM-DD, for example 2026-12-31")]
pub struct InvalidDate(String);

impl FromStr for Date {
    type Err = InvalidDate;

    /// Reads a date of the form `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Date, InvalidDate> {
        Date::read(text).ok_or_else(|| InvalidDate(one_line(text)))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}-{:02}", self.year, self.month, self.day))
    }
}

fn days(year: u16, month: u8) -> Option<u8> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_six_centuries_follows_the_last() {
        let mut date = Date::new(1970, 1, 1).unwrap();
        for day in 0..220_000 {
            assert_eq!(Date::from_days(day), date);
            assert_eq!(date.to_string().parse(), Ok(date));
            let Date { year, month, day } = date;
            date = Date::new(year, month, day + 1)
                .or_else(|| Date::new(year, month + 1, 1))
                .or_else(|| Date::new(year + 1, 1, 1))
                .unwrap();
        }
        assert_eq!(Ok(Date::from_days(20_785)), "2026-11-28".parse());
    }

    #[test]
    fn a_text_that_is_not_a_date_is_refused() {
        for text in [
            "",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "1900-02-29",
            "26-01-01",
            "2026-1-01",
            "2026/01/01",
            "+026-01-01",
            "２026-1-1",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
