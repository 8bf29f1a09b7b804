//! Each reader of bytes from outside, with inputs that are derived from what exporters, editors and attackers have
//! written. Each reader must return, stay within its bounds, read what was written, and lose to a bad value only the
//! value. The inputs follow from a fixed seed, so a failure repeats. `PROCESS_FUZZ` is their number for each test.
//! Headers have such a test in `propagation`, and variables in the unit tests of `telemetry`.

mod evidence;
mod otlp;
mod policy;

/// Returns the number of inputs for each test. CI sets 100,000.
fn inputs() -> usize {
    std::env::var("PROCESS_FUZZ").map_or(10_000, |number| number.parse().expect("a number"))
}

/// A source of numbers that look random (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, among: &[&'a T]) -> &'a T {
        among[self.below(among.len())]
    }

    /// Changes a text in up to six places. `parts` are texts that mean something to the reader.
    fn mutate(&mut self, text: &str, parts: &[&str]) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(7) {
                0 => drop(bytes.splice(at..end, self.pick(parts).bytes())),
                1 => drop(bytes.splice(at..at, self.pick(parts).bytes())),
                2 => drop(bytes.drain(at..end)),
                3 => drop(bytes.splice(at..at, [self.next() as u8])),
                4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
                5 => {
                    let copied = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, copied);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

/// Returns whether a text is one line that a terminal only shows.
fn is_plain_line(text: &str) -> bool {
    !text.contains(|letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}
