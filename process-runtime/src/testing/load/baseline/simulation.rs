//! What the test of a baseline finds and what it tells for nothing, by simulation with a fixed seed: the figures of the
//! module's documentation are those of these tests.

use super::*;

/// What the simulated sessions measure when nothing is noisy.
const USUAL: f64 = 0.010;

/// 30 % slower.
const SLOW_DOWN: f64 = 1.3;

/// An outlier.
const TWICE: f64 = 2.0;
const OUTLIERS: f64 = 0.05;

/// SplitMix64 (Steele, Lea and Flood, 2014), and normal values by the method of Box and Muller (1958).
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

/// A machine, and how it lets sessions differ.
struct Machine {
    noise: Noise,
    /// Standard deviation of a percentile's logarithm between sessions.
    between: f64,
    /// The same between measurements of one session.
    within: f64,
    /// How much of a session's deviation the next one starts with.
    correlation: f64,
    outliers: Outliers,
    last: [f64; Percentile::ALL.len()],
}

#[derive(Clone, Copy, PartialEq)]
enum Outliers {
    None,
    /// A measurement, and the next is as ever.
    Passing,
    /// A whole session.
    Lasting,
}

impl Machine {
    fn with_noise(between: f64) -> Machine {
        let (within, correlation, outliers) = (0.0, 0.0, Outliers::None);
        Machine { noise: Noise(2_026), between, within, correlation, outliers, last: [0.0; 3] }
    }

    /// The measurements of the next session of a program that is so much slower.
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

/// Whether a session is told, as `Load` decides it; what it adds to the earlier ones otherwise.
fn tell(earlier: &[Session], session: &[Percentiles; MEASUREMENTS]) -> Result<Session, ()> {
    let is_slower = |measured: &&Percentiles| {
        let figures = Percentile::ALL.into_iter().filter_map(|it| figure(earlier, it, measured, TOLERANCE));
        Vec::from_iter(figures).iter().any(|figure| figure.change == Change::Slower)
    };
    let percentiles = *session.iter().find(|measured| !is_slower(measured)).ok_or(())?;
    Ok(Session { level: 0, percentiles })
}

/// So many sessions in a row of a program that does not change: the last that are kept, how many were compared, and how
/// many of those told.
fn history(machine: &mut Machine, length: usize) -> (Vec<Session>, usize, usize) {
    let (mut kept, mut compared, mut told) = (Vec::new(), 0, 0);
    for _ in 0..length {
        compared += usize::from(kept.len() >= 5);
        match tell(&kept, &machine.session(1.0)) {
            Ok(session) => kept.push(session),
            Err(()) => told += 1,
        }
        kept.drain(..kept.len().saturating_sub(SESSIONS));
    }
    (kept, compared, told)
}

/// In how many percent of the sessions of an unchanged program something is told.
fn false_alarms(mut machine: Machine) -> f64 {
    let histories = (0..1_000).map(|_| history(&mut machine, 40));
    let (compared, told) =
        histories.fold((0, 0), |all, (_, compared, told)| (all.0 + compared, all.1 + told));
    100.0 * told as f64 / compared as f64
}

/// In how many percent of cases a program that is 30 % slower is told after so many sessions.
fn found(mut machine: Machine, sessions: usize) -> f64 {
    let told = (0..2_000).filter(|_| {
        let (kept, ..) = history(&mut machine, sessions);
        tell(&kept, &machine.session(SLOW_DOWN)).is_err()
    });
    100.0 * told.count() as f64 / 2_000.0
}

#[test]
fn an_unchanged_program_is_told_to_be_slower_in_about_one_percent_of_sessions_at_most() {
    for (between, most) in [(0.01, 0.0), (0.03, 0.3), (0.05, 1.1), (0.07, 1.3), (0.10, 1.3), (0.30, 1.3)] {
        let told = false_alarms(Machine::with_noise(between));
        assert!(told <= most, "with a noise of {between} it is told in {told:.2} %");
    }
}

#[test]
fn measured_again_noise_within_a_session_is_hardly_told() {
    for half in [0.05, 0.10, 0.30] {
        let told = false_alarms(Machine { within: half, ..Machine::with_noise(half) });
        assert!(told <= 0.2, "with a noise of {half} each it is told in {told:.2} %");
    }
}

#[test]
fn a_slow_down_of_30_percent_is_found_as_often_as_is_said() {
    let said =
        [(5, [99.0, 83.0, 50.0, 23.0]), (10, [99.0, 99.0, 87.0, 52.0]), (20, [99.0, 99.0, 97.0, 68.0])];
    for (sessions, found_in) in said {
        for (between, least) in [0.03, 0.05, 0.07, 0.10].into_iter().zip(found_in) {
            let told = found(Machine::with_noise(between), sessions);
            assert!(told >= least - 3.0, "noise {between}, {sessions} sessions: {told:.1} %");
        }
    }
}

#[test]
fn an_outlier_that_passes_is_not_told_and_one_that_lasts_is() {
    for between in [0.03, 0.05, 0.10] {
        let with = |outliers| Machine { outliers, ..Machine::with_noise(between) };
        let (passing, lasting) =
            (false_alarms(with(Outliers::Passing)), false_alarms(with(Outliers::Lasting)));
        assert!(passing <= 1.3, "{passing:.2} %");
        // One in twenty is slower, and that is told.
        assert!((4.0..=6.3).contains(&lasting), "{lasting:.2} %");
    }
}

#[test]
fn outliers_among_the_earlier_sessions_hide_little() {
    for sessions in [10, 20, 40] {
        let machine = Machine { outliers: Outliers::Lasting, ..Machine::with_noise(0.03) };
        let told = found(machine, sessions);
        assert!(told >= 93.0, "after {sessions} sessions {told:.1} % are found");
    }
}

#[test]
fn noise_that_drifts_is_told_in_a_few_percent() {
    for (between, most) in [(0.03, 0.2), (0.05, 2.5), (0.10, 5.5)] {
        let told = false_alarms(Machine { correlation: 0.8, ..Machine::with_noise(between) });
        assert!(told <= most, "with a noise of {between} it is told in {told:.2} %");
    }
}

#[test]
fn after_an_accepted_level_unchanged_programs_are_told_no_more_often() {
    let (mut machine, mut compared, mut told) = (Machine::with_noise(0.10), 0, 0);
    for _ in 0..2_000 {
        let (mut kept, ..) = history(&mut machine, 10);
        let [accepted, ..] = machine.session(SLOW_DOWN);
        kept.push(Session { level: 1, percentiles: accepted });
        for _ in 0..5 {
            compared += 1;
            match tell(&kept, &machine.session(SLOW_DOWN)) {
                Ok(session) => kept.push(Session { level: 1, ..session }),
                Err(()) => told += 1,
            }
        }
    }
    let told = 100.0 * f64::from(told) / f64::from(compared);
    assert!(told <= 1.5, "{told:.2} %");
}
