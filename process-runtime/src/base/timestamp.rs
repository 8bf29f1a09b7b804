//! Points in time as text, in UTC. Calendars of other kinds and time zones do not belong here.

use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

/// Returns the time in the format of RFC 3339 with milliseconds, for example `2026-11-30T11:30:00.250Z`. A time before
/// 1970 is returned as the start of 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since: Duration = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = date(since.as_secs() / DAY);
    let (second, millis) = (since.as_secs() % DAY, since.subsec_millis());
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Converts days since 1970-01-01 to a year, a month and a day, as `civil_from_days` does in Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms". The algorithm uses years that begin in March, so that a leap day is
/// the last day of a year.
pub(crate) fn date(days: u64) -> (u64, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u8;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u8;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_its_date_and_time_of_day_in_utc() {
        let at = |seconds: u64, millis: u64| {
            rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_868_799, 7), "2000-02-29T23:59:59.007Z");
        assert_eq!(at(1_796_038_200, 250), "2026-11-30T11:30:00.250Z");
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }
}
