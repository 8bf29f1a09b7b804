//! Lets the rows take turns. In each round, every row has a fresh process. In each turn of a round, every row
//! is sampled once, on the same core and within a fraction of a second of the other rows. Therefore a change in
//! the machine's speed affects all rows in the same way.

use std::collections::HashMap;

use crate::child::Child;
use crate::cores::{self, Core};
use crate::sample::Cost;
use crate::scenarios::SCENARIOS;
use crate::statistics::Spread;
use crate::workload::Shape;

/// The number of samples of each row and shape in a round.
const TURNS: usize = 5;
/// The rows for which a budget needs the cost of a single poll.
const POLLED: [&str; 2] = ["bare", "plain"];

/// The samples of every row, in the order in which they were taken. The costs of one shape with the same
/// index belong to the same turn.
#[derive(Default)]
pub(crate) struct Rounds {
    costs: HashMap<(&'static str, Shape), Vec<Cost>>,
    throughputs: HashMap<&'static str, Vec<f64>>,
}

/// Selects one figure of a [`Cost`].
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

    /// Returns one figure of a row, one value for each turn. Returns no values if the row was not measured.
    pub(crate) fn each(&self, key: &str, shape: Shape, figure: Figure) -> Vec<f64> {
        let costs = self.costs.iter().find(|((row, of), _)| *row == key && *of == shape);
        costs.into_iter().flat_map(|(_, costs)| costs.iter().map(figure)).collect()
    }

    pub(crate) fn spread(&self, key: &str, shape: Shape, figure: Figure) -> Option<Spread> {
        Spread::of(self.each(key, shape, figure))
    }

    /// Returns the nanoseconds of a run on the caller's thread, one value for each turn.
    pub(crate) fn nanos(&self, key: &str, shape: Shape) -> Vec<f64> {
        self.each(key, shape, |cost| cost.nanos)
    }

    /// Returns the nanoseconds that one more pending poll takes, one value for each pair of turns of `Yield3`
    /// and `Yield35`.
    pub(crate) fn poll_nanos(&self, key: &str) -> Vec<f64> {
        let polls = f64::from(Shape::Yield35.pends() - Shape::Yield3.pends());
        let (few, many) = (self.nanos(key, Shape::Yield3), self.nanos(key, Shape::Yield35));
        few.iter().zip(many).map(|(few, many)| (many - few) / polls).collect()
    }

    pub(crate) fn throughput(&self, key: &str) -> Option<Spread> {
        Spread::of(self.throughputs.get(key).into_iter().flatten().copied())
    }
}
