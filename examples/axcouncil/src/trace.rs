//! `axcouncil trace` finds traces in the telemetry files and draws them. A query selects traces by context and time,
//! or by trace id.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use process_runtime::timeline::{self, Found, Query};

use crate::shown::shown;

/// The longest time between a span and the requested time.
const AROUND: Duration = Duration::from_secs(60);
/// The maximum number of traces that are drawn.
const MOST: usize = 20;
/// The longest wait for a trace. Exporters write every few seconds.
const PATIENCE: Duration = Duration::from_secs(6);
/// The time between two reads of the files.
const LOOK: Duration = Duration::from_millis(100);
const DAY: u64 = 24 * 60 * 60;

/// Reads the arguments of `axcouncil trace`.
pub(crate) fn query(mut given: impl Iterator<Item = String>) -> Result<Query, String> {
    let mut query = Query::default();
    while let Some(argument) = given.next() {
        let value = given.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
        match argument.as_str() {
            "--context" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| format!("invalid `--context` `{value}`: write `key=value`"))?;
                query.context.push((key.to_owned(), value.to_owned()));
            }
            "--id" => query.trace_id = Some(value.trim().to_owned()),
            "--around" => {
                let time = time_of_day(&value, SystemTime::now()).ok_or_else(|| {
                    format!("invalid `--around` `{value}`: write a time in UTC, for example `14:43`")
                })?;
                query.around = Some((time, AROUND));
            }
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    match query == Query::default() {
        true => Err("missing query: write `--id`, `--context` or `--around`".to_owned()),
        false => Ok(query),
    }
}

/// Parses a time of day in UTC, such as `14:43` or `14:43:20`. Returns its latest occurrence, or `None` if the text
/// is not a time. A time that is at most [`AROUND`] ahead counts as the latest occurrence.
fn time_of_day(text: &str, now: SystemTime) -> Option<SystemTime> {
    let numbers: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    let seconds = match *numbers?.as_slice() {
        [hours @ 0..24, minutes @ 0..60] => hours * 3600 + minutes * 60,
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let today = now - now % DAY + seconds;
    let asked = if today > now + AROUND.as_secs() { today - DAY } else { today };
    Some(UNIX_EPOCH + Duration::from_secs(asked))
}

/// Finds the traces that match a query. The id of a trace can be known before the whole trace is written. For a query
/// with an id, this function therefore waits up to [`PATIENCE`] for the rest.
fn find(directory: &Path, query: &Query) -> io::Result<Found> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = match timeline::find(directory, query, MOST) {
            // Nothing has been written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
            found => found?,
        };
        let is_written = found.timelines.first().is_some_and(|timeline| {
            timeline.is_complete() || timeline.end_time() + PATIENCE < SystemTime::now()
        });
        if query.trace_id.is_none() || is_written || Instant::now() > deadline {
            return Ok(found);
        }
        std::thread::sleep(LOOK);
    }
}

/// Draws the traces that match a query. Returns whether at least one matches.
pub(crate) fn draw(directory: &Path, query: &Query) -> io::Result<bool> {
    let found = find(directory, query)?;
    for skipped in &found.skipped {
        let file = shown(&skipped.file.display().to_string());
        eprintln!("axcouncil: {file}:{}: {}", skipped.line, skipped.problem);
    }
    if found.more_skipped > 0 {
        eprintln!("axcouncil: {} more lines could not be read completely", found.more_skipped);
    }
    found.timelines.iter().for_each(|timeline| println!("{timeline}"));
    if found.spans_left_out > 0 {
        println!("{} more spans of these traces are not shown.", found.spans_left_out);
    }
    if found.left_out > 0 {
        println!("{} earlier traces match too, and are not shown.", found.left_out);
    }
    if found.timelines.is_empty() {
        println!("No trace in {} matches.", directory.display());
    }
    Ok(!found.timelines.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Query, String> {
        query(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_part_of_a_query_is_read() {
        let both = read("--context user_id=1 --around 14:43 --context company_id=7").expect("a good line");
        assert_eq!(both.context, [("user_id".into(), "1".into()), ("company_id".into(), "7".into())]);
        assert_eq!(both.around.map(|(_, tolerance)| tolerance), Some(AROUND));
        assert_eq!(read("--id abc").expect("a good line").trace_id.as_deref(), Some("abc"));
    }

    #[test]
    fn a_time_is_its_latest_occurrence() {
        // 2026-11-28, 15:00:00 UTC.
        let now = UNIX_EPOCH + Duration::from_secs(1_795_878_000);
        let before = |seconds| Some(now - Duration::from_secs(seconds));
        assert_eq!(time_of_day("14:43", now), before(17 * 60));
        assert_eq!(time_of_day("14:43:20", now), before(17 * 60 - 20));
        assert_eq!(time_of_day("15:00", now), before(0));
        // More than a minute later than now, so the time is yesterday's.
        assert_eq!(time_of_day("15:02", now), before(DAY - 120));
        assert_eq!(time_of_day("24:00", now), None);
    }

    #[test]
    fn a_missing_directory_has_no_traces() {
        let by_user = read("--context user_id=1").expect("a good line");
        assert!(!draw(Path::new("nowhere"), &by_user).expect("a missing folder is an empty result"));
    }

    #[test]
    fn each_mistake_is_reported() {
        for line in ["", "--id", "--context user", "--around 25:00", "--around noon", "--when 14:43"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
