//! Rows take turns: in each round every row has a fresh process, and in each turn every row is sampled
//! once, on one core and within a fraction of a second of any other. So a change in the machine's speed
//! affects all rows in the same way.

use std::collections::HashMap;

use crate::child::Child;
use crate::cores::{self, Core};
use crate::sample::Cost;
use crate::scenarios::SCENARIOS;
use crate::statistics::Spread;
use crate::workload::Shape;

/// Samples of each row and shape in a round.
const TURNS: usize = 5;
/// The rows whose cost of a poll is part of a budget.
const POLLED: [&str; 2] = ["bare", "plain"];

/// Samples of every row, in the order they were taken: values at one index belong to one turn.
#[derive(Default)]
pub(crate) struct Rounds {
    costs: HashMap<(&'static str, Shape), Vec<Cost>>,
    throughputs: HashMap<&'static str, Vec<f64>>,
}

/// A figure of a [`Cost`].
pub(crate) type Figure = fn(&Cost) -> f64;

impl Rounds {
    pub(crate) fn measure(rounds: usize) -> Rounds {
        let mut measured = Rounds::default();
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}");
            let mut children: Vec<_> =
                SCENARIOS.iter().map(|scenario| (scenario.key, Child::start(scenario))).collect();
            for shape in Shape::ALL {
                for _ in 0..TURNS {
                    measured.turn(&mut children, shape, cores::fastest());
                }
            }
            for (key, child) in &mut children {
                let throughput = child.relative_throughput(Shape::Sync);
                measured.throughputs.entry(key).or_default().push(throughput);
            }
            children.into_iter().for_each(|(_, child)| child.finish());
        }
        measured
    }

    fn turn(&mut self, children: &mut [(&'static str, Child)], shape: Shape, core: Core) {
        let is_wanted = |key: &str| shape != Shape::Yield35 || POLLED.contains(&key);
        for (key, child) in children.iter_mut().filter(|(key, _)| is_wanted(key)) {
            self.costs.entry((key, shape)).or_default().push(child.cost(shape, core));
        }
    }

    /// Returns a figure of one row, turn by turn. Empty if the row was not measured.
    pub(crate) fn each(&self, key: &str, shape: Shape, figure: Figure) -> Vec<f64> {
        let costs = self.costs.iter().find(|((row, of), _)| *row == key && *of == shape);
        costs.into_iter().flat_map(|(_, costs)| costs.iter().map(figure)).collect()
    }

    pub(crate) fn spread(&self, key: &str, shape: Shape, figure: Figure) -> Option<Spread> {
        Spread::of(self.each(key, shape, figure))
    }

    /// Nanoseconds on the caller's path, turn by turn.
    pub(crate) fn nanos(&self, key: &str, shape: Shape) -> Vec<f64> {
        self.each(key, shape, |cost| cost.nanos)
    }

    /// Nanoseconds that one more pending poll takes, turn by turn.
    pub(crate) fn poll_nanos(&self, key: &str) -> Vec<f64> {
        let polls = f64::from(Shape::Yield35.pends() - Shape::Yield3.pends());
        let (few, many) = (self.nanos(key, Shape::Yield3), self.nanos(key, Shape::Yield35));
        few.iter().zip(many).map(|(few, many)| (many - few) / polls).collect()
    }

    pub(crate) fn throughput(&self, key: &str) -> Option<Spread> {
        Spread::of(self.throughputs.get(key).into_iter().flatten().copied())
    }
}
