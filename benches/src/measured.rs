//! The measured values of one run of the program. Parts that were not requested are empty.

use std::collections::HashMap;

use crate::builds::Build;
use crate::footprint::Footprint;
use crate::rounds::Rounds;
use crate::statistics::Spread;

#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) rounds: Rounds,
    /// The instructions of a run for each shape of [`crate::workload::Shape::TABLED`], by the key of the row.
    pub(crate) instructions: HashMap<&'static str, [f64; 3]>,
    pub(crate) builds: Vec<Build>,
    pub(crate) footprint: Option<Footprint>,
}

impl Measured {
    pub(crate) fn build(&self, key: &str) -> Option<&Build> {
        self.builds.iter().find(|build| build.attribute.key == key)
    }

    /// Returns the time that one attribute adds to the bare function, divided by the time that another
    /// attribute adds.
    pub(crate) fn build_over(&self, key: &str, over: &str, times: fn(&Build) -> Vec<f64>) -> Option<Spread> {
        let (added, over) = (self.build_added(key, times)?, self.build_added(over, times)?);
        Spread::of_pairs(&added, &over, |added, over| added / over)
    }

    /// Returns the time that an attribute adds to the bare function, one value for each check or build.
    pub(crate) fn build_added(&self, key: &str, times: fn(&Build) -> Vec<f64>) -> Option<Vec<f64>> {
        let (attribute, bare) = (times(self.build(key)?), times(self.build("bare")?));
        Some(attribute.iter().zip(bare).map(|(attribute, bare)| attribute - bare).collect())
    }
}
