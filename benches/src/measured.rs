//! All that one run of the driver measured; a part that was not asked for is empty.

use std::collections::HashMap;

use crate::builds::Build;
use crate::footprint::Footprint;
use crate::rounds::Rounds;
use crate::statistics::Spread;

#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) rounds: Rounds,
    /// For each shape of [`crate::workload::Shape::TABLED`], by the row's key.
    pub(crate) instructions: HashMap<&'static str, [f64; 3]>,
    pub(crate) builds: Vec<Build>,
    pub(crate) footprint: Option<Footprint>,
}

impl Measured {
    pub(crate) fn build(&self, key: &str) -> Option<&Build> {
        self.builds.iter().find(|build| build.attribute.key == key)
    }

    /// What one attribute adds to the bare function's time, over what another one adds.
    pub(crate) fn build_over(&self, key: &str, over: &str, times: fn(&Build) -> Vec<f64>) -> Option<Spread> {
        let (added, over) = (self.build_added(key, times)?, self.build_added(over, times)?);
        Spread::of_pairs(&added, &over, |added, over| added / over)
    }

    /// What an attribute adds to the bare function's time, round by round.
    pub(crate) fn build_added(&self, key: &str, times: fn(&Build) -> Vec<f64>) -> Option<Vec<f64>> {
        let (attribute, bare) = (times(self.build(key)?), times(self.build("bare")?));
        Some(attribute.iter().zip(bare).map(|(attribute, bare)| attribute - bare).collect())
    }
}
