//! Simulates sessions with a fixed seed, and measures the statistical test of a baseline: how often it finds a
//! slow-down, and how often it raises a false alarm. The Rust tests in this file check the figures in the
//! documentation of the module `baseline`. The statistical test itself does not belong here.

use super::*;

/// The value of every percentile of a simulated session without noise, in seconds.
const USUAL: f64 = 0.010;

/// The factor of a program that is 30 % slower.
const SLOW_DOWN: f64 = 1.3;

/// The factor by which an outlier is slower.
const TWICE: f64 = 2.0;
/// The share of sessions or measurements that are outliers.
const OUTLIERS: f64 = 0.05;

/// A generator of pseudo-random numbers. It uses SplitMix64 (Steele, Lea and Flood, 2014), and the method of Box and
/// Muller (1958) for normal values.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A simulated machine with noise.
struct Machine {
    noise: Noise,
    /// The standard deviation of a percentile's logarithm between sessions.
    between: f64,
    /// The standard deviation of a percentile's logarithm between the measurements of one session.
    within: f64,
    /// The share of a session's deviation that the next session inherits.
    correlation: f64,
    outliers: Outliers,
    last: [f64; Percentile::ALL.len()],
}

#[derive(Clone, Copy, PartialEq)]
enum Outliers {
    None,
    /// Outliers that last for one measurement.
    Passing,
    /// Outliers that last for a whole session.
    Lasting,
}

impl Machine {
    fn with_noise(between: f64) -> Machine {
        let (within, correlation, outliers) = (0.0, 0.0, Outliers::None);
        Machine { noise: Noise(2_026), between, within, correlation, outliers, last: [0.0; 3] }
    }

    /// Simulates the next session of a program that is slower by the factor `slow_down`. Returns the measurements of
    /// the session.
    fn session(&mut self, slow_down: f64) -> [Percentiles; MEASUREMENTS] {
        let fresh = self.between * (1.0 - self.correlation.powi(2)).sqrt();
        self.last = self.last.map(|last| self.correlation * last + fresh * self.noise.normal());
        let lasting = self.outlier(Outliers::Lasting);
        [(); MEASUREMENTS].map(|()| {
            let factor = USUAL * slow_down * lasting * self.outlier(Outliers::Passing);
            self.last.map(|shared| {
                Duration::from_secs_f64(factor * (shared + self.within * self.noise.normal()).exp())
            })
        })
    }

    fn outlier(&mut self, kind: Outliers) -> f64 {
        if self.outliers == kind && self.noise.uniform() < OUTLIERS { TWICE } else { 1.0 }
    }
}

/// Judges a session as `Load` does. Returns the session to add to the baseline, or an error if every measurement is
/// slower.
fn judge(earlier: &[Session], session: &[Percentiles; MEASUREMENTS]) -> Result<Session, ()> {
    let is_slower = |measured: &&Percentiles| {
        let figures = Percentile::ALL.into_iter().filter_map(|it| figure(earlier, it, measured, TOLERANCE));
        Vec::from_iter(figures).iter().any(|figure| figure.change == Change::Slower)
    };
    let percentiles = *session.iter().find(|measured| !is_slower(measured)).ok_or(())?;
    Ok(Session { level: 0, percentiles })
}

/// Simulates consecutive sessions of a program that does not change. Returns the sessions that are kept, the number
/// of sessions that were compared, and how many of the compared sessions were reported as slower.
fn history(machine: &mut Machine, length: usize) -> (Vec<Session>, usize, usize) {
    let (mut kept, mut compared, mut reported) = (Vec::new(), 0, 0);
    for _ in 0..length {
        compared += usize::from(kept.len() >= 5);
        match judge(&kept, &machine.session(1.0)) {
            Ok(session) => kept.push(session),
            Err(()) => reported += 1,
        }
        kept.drain(..kept.len().saturating_sub(SESSIONS));
    }
    (kept, compared, reported)
}

/// Returns the percentage of sessions of an unchanged program that are reported as slower.
fn false_alarms(mut machine: Machine) -> f64 {
    let histories = (0..1_000).map(|_| history(&mut machine, 40));
    let (compared, reported) =
        histories.fold((0, 0), |all, (_, compared, reported)| (all.0 + compared, all.1 + reported));
    100.0 * reported as f64 / compared as f64
}

/// Returns the percentage of cases in which a slow-down of 30 % is found after this many sessions.
fn found(mut machine: Machine, sessions: usize) -> f64 {
    let reported = (0..2_000).filter(|_| {
        let (kept, ..) = history(&mut machine, sessions);
        judge(&kept, &machine.session(SLOW_DOWN)).is_err()
    });
    100.0 * reported.count() as f64 / 2_000.0
}

#[test]
fn an_unchanged_program_is_reported_as_slower_in_about_one_percent_of_sessions_at_most() {
    for (between, most) in [(0.01, 0.0), (0.03, 0.3), (0.05, 1.1), (0.07, 1.3), (0.10, 1.3), (0.30, 1.3)] {
        let alarms = false_alarms(Machine::with_noise(between));
        assert!(alarms <= most, "noise {between}: {alarms:.2} % false alarms");
    }
}

#[test]
fn noise_within_a_session_is_hardly_reported_after_new_measurements() {
    for half in [0.05, 0.10, 0.30] {
        let alarms = false_alarms(Machine { within: half, ..Machine::with_noise(half) });
        assert!(alarms <= 0.2, "noise {half} each: {alarms:.2} % false alarms");
    }
}

#[test]
fn a_slow_down_of_30_percent_is_found_as_often_as_documented() {
    let documented =
        [(5, [99.0, 83.0, 50.0, 23.0]), (10, [99.0, 99.0, 87.0, 52.0]), (20, [99.0, 99.0, 97.0, 68.0])];
    for (sessions, found_in) in documented {
        for (between, least) in [0.03, 0.05, 0.07, 0.10].into_iter().zip(found_in) {
            let found = found(Machine::with_noise(between), sessions);
            assert!(found >= least - 3.0, "noise {between}, {sessions} sessions: {found:.1} % are found");
        }
    }
}

#[test]
fn an_outlier_that_passes_is_not_reported_and_one_that_lasts_is() {
    for between in [0.03, 0.05, 0.10] {
        let with = |outliers| Machine { outliers, ..Machine::with_noise(between) };
        let (passing, lasting) =
            (false_alarms(with(Outliers::Passing)), false_alarms(with(Outliers::Lasting)));
        assert!(passing <= 1.3, "{passing:.2} %");
        // One session in twenty is an outlier in all its measurements, and is reported.
        assert!((4.0..=6.3).contains(&lasting), "{lasting:.2} %");
    }
}

#[test]
fn outliers_among_the_earlier_sessions_hide_little() {
    for sessions in [10, 20, 40] {
        let machine = Machine { outliers: Outliers::Lasting, ..Machine::with_noise(0.03) };
        let found = found(machine, sessions);
        assert!(found >= 93.0, "after {sessions} sessions {found:.1} % are found");
    }
}

#[test]
fn noise_that_drifts_raises_a_few_percent_of_false_alarms() {
    for (between, most) in [(0.03, 0.2), (0.05, 2.5), (0.10, 5.5)] {
        let alarms = false_alarms(Machine { correlation: 0.8, ..Machine::with_noise(between) });
        assert!(alarms <= most, "noise {between}: {alarms:.2} % false alarms");
    }
}

#[test]
fn after_an_accepted_level_unchanged_programs_raise_no_more_false_alarms() {
    let (mut machine, mut compared, mut reported) = (Machine::with_noise(0.10), 0, 0);
    for _ in 0..2_000 {
        let (mut kept, ..) = history(&mut machine, 10);
        let [accepted, ..] = machine.session(SLOW_DOWN);
        kept.push(Session { level: 1, percentiles: accepted });
        for _ in 0..5 {
            compared += 1;
            match judge(&kept, &machine.session(SLOW_DOWN)) {
                Ok(session) => kept.push(Session { level: 1, ..session }),
                Err(()) => reported += 1,
            }
        }
    }
    let alarms = 100.0 * f64::from(reported) / f64::from(compared);
    assert!(alarms <= 1.5, "{alarms:.2} % false alarms");
}
