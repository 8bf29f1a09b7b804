//! Checks of the buffers in which threads leave samples until a drain takes them. Each lane has one buffer.

use loom::sync::{Arc, Mutex};

use super::{explore, share_other_lanes};
use crate::base::lane::Lane;
use crate::base::lock::lock;
use crate::base::sync::spawn;
use crate::observe::samples::Samples;

/// The buffer of a lane, and the samples that drains have taken. A drain holds the lock of the taken samples, so only
/// one drain runs at a time.
struct Buffer {
    samples: Samples<u64>,
    drained: Mutex<Vec<u64>>,
}

impl Buffer {
    fn new() -> Arc<Buffer> {
        Arc::new(Buffer { samples: Samples::new(), drained: Mutex::new(Vec::new()) })
    }

    fn drain(&self) {
        let mut drained = lock(&self.drained);
        self.samples.drain(|sample| drained.push(sample));
    }

    fn drained(&self) -> Vec<u64> {
        lock(&self.drained).clone()
    }
}

/// While two threads drain, each sample of an owned lane is either drained once and in order, or counted as dropped.
pub fn a_sample_is_drained_once_or_dropped() {
    explore("a sample is drained once, or dropped", || {
        let buffer = Buffer::new();
        let lane = Lane::current();
        assert!(lane.is_owned());
        let drains = [(); 2].map(|()| {
            let buffer = Arc::clone(&buffer);
            spawn(move || buffer.drain())
        });
        let pushed: Vec<u64> =
            (1..=3).filter(|sample| buffer.samples.push(lane, *sample).is_some()).collect();
        for drain in drains {
            drain.join().unwrap();
        }
        buffer.drain();
        assert_eq!(buffer.drained(), pushed);
        assert_eq!(buffer.samples.dropped() + pushed.len() as u64, 3);
        assert_eq!(buffer.samples.waiting(), 0);
    });
}

/// If two threads share a lane, each of their samples is either drained once or counted as dropped.
pub fn a_sample_of_a_shared_lane_is_drained_once_or_dropped() {
    explore("a sample of a shared lane is drained once, or dropped", || {
        let buffer = Buffer::new();
        share_other_lanes();
        let producers = [1, 3].map(|first| {
            let buffer = Arc::clone(&buffer);
            spawn(move || {
                let lane = Lane::current();
                assert!(!lane.is_owned());
                (first..first + 2).filter(|sample| buffer.samples.push(lane, *sample).is_some()).collect()
            })
        });
        buffer.drain();
        let pushed: [Vec<u64>; 2] = producers.map(|producer| producer.join().unwrap());
        buffer.drain();
        let mut drained = buffer.drained();
        drained.sort_unstable();
        assert_eq!(drained, pushed.concat());
        assert_eq!(buffer.samples.dropped() + drained.len() as u64, 4);
    });
}
