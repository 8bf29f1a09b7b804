//! How the age of a check's latest result changes the status of the check. Reading a clock and executing checks do
//! not belong here.

use std::time::Duration;

use super::condition::Condition;
use super::reason::Reason;
use super::status::Status;

/// The two times that determine how a check's result becomes worse with age.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ageing {
    pub(super) cached_for: Duration,
    pub(super) timeout: Duration,
}

impl Ageing {
    /// Returns the age above which a pass becomes a warning.
    pub(super) fn warns_after(self) -> Duration {
        2 * self.cached_for + self.timeout
    }

    /// Returns the age above which any result becomes a failure, unless the next execution is running.
    pub(super) fn fails_after(self) -> Duration {
        3 * self.cached_for + self.timeout
    }

    /// Returns whether an execution is past its timeout. `running` is the time that it has run so far, or `None` if
    /// no execution is running.
    pub(super) fn is_stuck(self, running: Option<Duration>) -> bool {
        running.is_some_and(|running| running > self.timeout)
    }

    /// Returns the condition of a check. `last` is the latest result and its age, or `None` if no execution has ended
    /// yet. `running` is the time that an execution within its timeout has run so far, or `None` if none is running.
    pub(super) fn condition(
        self,
        last: Option<(&Condition, Duration)>,
        running: Option<Duration>,
    ) -> Condition {
        let Some((last, age)) = last else {
            let is_running = running.is_some();
            let text = if is_running { "the first check is running" } else { "not checked yet" };
            return Condition::new(Status::Fail, Reason::Starting, text);
        };
        let (status, text) = match () {
            // The running execution may soon replace this old result, so age turns a pass only into a warning.
            () if running.is_some() && age > self.warns_after() => {
                (last.status.max(Status::Warn), format!("{}; the next check is running", ago(age)))
            }
            () if age > self.fails_after() => (Status::Fail, ago(age)),
            () if age > self.warns_after() && last.status == Status::Pass => (Status::Warn, ago(age)),
            () => return last.clone(),
        };
        Condition::new(status, Reason::Stale, text)
    }
}

fn ago(age: Duration) -> String {
    format!("the last check was {:.0?} ago", Duration::from_secs(age.as_secs()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// An example. A pass becomes a warning above an age of 22 s, and a failure above 32 s.
    const AGEING: Ageing = Ageing { cached_for: seconds(10), timeout: seconds(2) };
    const TICK: Duration = Duration::from_nanos(1);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn own(status: Status) -> Condition {
        Condition::new(status, Reason::CheckFailed, "its own text")
    }

    fn aged(status: Status, age: Duration, running: Option<Duration>) -> Condition {
        AGEING.condition(Some((&own(status), age)), running)
    }

    fn stale(status: Status, text: &str) -> Condition {
        Condition::new(status, Reason::Stale, text)
    }

    #[rstest]
    #[case::new(Duration::ZERO, Status::Pass)]
    #[case::old_enough_to_be_refreshed(seconds(11), Status::Pass)]
    #[case::at_the_warning(seconds(22), Status::Pass)]
    #[case::past_the_warning(seconds(22) + TICK, Status::Warn)]
    #[case::at_the_failure(seconds(32), Status::Warn)]
    #[case::past_the_failure(seconds(32) + TICK, Status::Fail)]
    fn a_pass_ages_to_a_warning_and_then_to_a_failure(#[case] age: Duration, #[case] status: Status) {
        let aged = aged(Status::Pass, age, None);
        assert_eq!(aged.status, status);
        assert_eq!(aged == own(Status::Pass), status == Status::Pass, "{aged:?}");
        assert_eq!(aged.reason == Some(Reason::Stale), status != Status::Pass, "{aged:?}");
    }

    #[test]
    fn a_warning_keeps_its_text_until_it_is_a_failure() {
        assert_eq!(aged(Status::Warn, seconds(32), None), own(Status::Warn));
        assert_eq!(aged(Status::Warn, seconds(33), None), stale(Status::Fail, "the last check was 33s ago"));
    }

    #[test]
    fn a_failure_keeps_its_text_until_it_is_too_old_to_say_why() {
        assert_eq!(aged(Status::Fail, seconds(32), None), own(Status::Fail));
        assert_eq!(aged(Status::Fail, seconds(40), None), stale(Status::Fail, "the last check was 40s ago"));
    }

    #[rstest]
    #[case(Status::Pass, Status::Warn)]
    #[case(Status::Warn, Status::Warn)]
    #[case(Status::Fail, Status::Fail)]
    fn an_old_result_is_at_most_a_warning_while_the_next_check_runs(
        #[case] last: Status,
        #[case] now: Status,
    ) {
        let aged = aged(last, seconds(1000), Some(seconds(1)));
        assert_eq!(aged, stale(now, "the last check was 1000s ago; the next check is running"));
    }

    #[test]
    fn a_young_result_is_valid_while_the_next_check_runs() {
        assert_eq!(aged(Status::Pass, seconds(22), Some(seconds(2))).status, Status::Pass);
    }

    #[test]
    fn a_check_without_a_result_fails_and_says_whether_it_is_running() {
        let starting = |text| Condition::new(Status::Fail, Reason::Starting, text);
        assert_eq!(AGEING.condition(None, None), starting("not checked yet"));
        assert_eq!(AGEING.condition(None, Some(Duration::ZERO)), starting("the first check is running"));
    }
}
