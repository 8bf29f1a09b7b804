//! How the age of a check's latest result changes the status of the check. Reading a clock and executing checks do
//! not belong here.

use std::time::Duration;

use super::status::Status;

/// The two times that determine how a check's result becomes worse with age.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ageing {
    pub(super) cached_for: Duration,
    pub(super) timeout: Duration,
}

/// The age of a result, and the parts of the result that age can change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aged<'a> {
    pub(super) status: Status,
    pub(super) output: Option<&'a str>,
    pub(super) age: Duration,
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

    /// Returns the status of a check, and the reason if there is one. `last` is the latest result, or `None` if no
    /// execution has ended yet. `running` is the time that an execution has run so far, or `None` if no execution is
    /// running.
    pub(super) fn status(
        self,
        last: Option<Aged<'_>>,
        running: Option<Duration>,
    ) -> (Status, Option<String>) {
        if self.is_stuck(running) {
            let timeout = self.timeout;
            return (Status::Fail, Some(format!("no answer within {timeout:?}; the check is still running")));
        }
        match last {
            // The running execution may soon replace this old result, so age turns a pass only into a warning.
            Some(last) if running.is_some() && last.age > self.warns_after() => {
                let text = format!("{}; the next check is running", ago(last.age));
                (last.status.max(Status::Warn), Some(text))
            }
            Some(last) if last.age > self.fails_after() => (Status::Fail, Some(ago(last.age))),
            Some(last) if last.age > self.warns_after() && last.status == Status::Pass => {
                (Status::Warn, Some(ago(last.age)))
            }
            Some(last) => (last.status, last.output.map(str::to_owned)),
            None if running.is_some() => (Status::Fail, Some("the first check is running".to_owned())),
            None => (Status::Fail, Some("not checked yet".to_owned())),
        }
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

    fn status_of(status: Status, age: Duration, running: Option<Duration>) -> (Status, Option<String>) {
        AGEING.status(Some(Aged { status, output: Some("its own text"), age }), running)
    }

    #[rstest]
    #[case::new(Duration::ZERO, Status::Pass)]
    #[case::old_enough_to_be_refreshed(seconds(11), Status::Pass)]
    #[case::at_the_warning(seconds(22), Status::Pass)]
    #[case::past_the_warning(seconds(22) + TICK, Status::Warn)]
    #[case::at_the_failure(seconds(32), Status::Warn)]
    #[case::past_the_failure(seconds(32) + TICK, Status::Fail)]
    fn a_pass_ages_to_a_warning_and_then_to_a_failure(#[case] age: Duration, #[case] status: Status) {
        let (aged, output) = status_of(Status::Pass, age, None);
        assert_eq!(aged, status);
        let own = status == Status::Pass;
        assert_eq!(output.as_deref() == Some("its own text"), own, "{output:?}");
    }

    #[test]
    fn a_warning_keeps_its_text_until_it_is_a_failure() {
        let own = Some("its own text".to_owned());
        assert_eq!(status_of(Status::Warn, seconds(32), None), (Status::Warn, own));
        let (status, output) = status_of(Status::Warn, seconds(33), None);
        assert_eq!((status, output.as_deref()), (Status::Fail, Some("the last check was 33s ago")));
    }

    #[test]
    fn a_failure_keeps_its_text_until_it_is_too_old_to_say_why() {
        let own = Some("its own text".to_owned());
        assert_eq!(status_of(Status::Fail, seconds(32), None), (Status::Fail, own));
        assert_eq!(
            status_of(Status::Fail, seconds(40), None).1.as_deref(),
            Some("the last check was 40s ago")
        );
    }

    #[rstest]
    #[case(Status::Pass, Status::Warn)]
    #[case(Status::Warn, Status::Warn)]
    #[case(Status::Fail, Status::Fail)]
    fn an_old_result_is_at_most_a_warning_while_the_next_check_runs(
        #[case] last: Status,
        #[case] now: Status,
    ) {
        let (status, output) = status_of(last, seconds(1000), Some(seconds(1)));
        assert_eq!(status, now);
        assert_eq!(output.as_deref(), Some("the last check was 1000s ago; the next check is running"));
    }

    #[test]
    fn a_young_result_is_valid_while_the_next_check_runs() {
        assert_eq!(status_of(Status::Pass, seconds(22), Some(seconds(2))).0, Status::Pass);
    }

    #[test]
    fn a_check_past_its_timeout_fails_whatever_its_last_result() {
        let (status, output) = status_of(Status::Pass, Duration::ZERO, Some(seconds(2) + TICK));
        assert_eq!(status, Status::Fail);
        assert_eq!(output.as_deref(), Some("no answer within 2s; the check is still running"));
        assert_eq!(AGEING.status(None, Some(seconds(3))).1, output);
    }

    #[test]
    fn a_check_without_a_result_fails_and_says_whether_it_is_running() {
        let (status, output) = AGEING.status(None, None);
        assert_eq!((status, output.as_deref()), (Status::Fail, Some("not checked yet")));
        let (status, output) = AGEING.status(None, Some(Duration::ZERO));
        assert_eq!((status, output.as_deref()), (Status::Fail, Some("the first check is running")));
    }
}
