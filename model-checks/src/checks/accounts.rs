//! Checks of accounts. An account counts the runs of one process, stage or dependency. It has a shard, which is a set
//! of counters, for each lane.

use loom::sync::Arc;
use process_model::Outcome;

use super::{explore, share_other_lanes};
use crate::base::clock::Clock;
use crate::base::lane::Lane;
use crate::base::sync::spawn;
use crate::stats::account::{Account, end_index};

/// Counts a run that takes this many ticks.
fn run(account: &Account, ticks: u64) {
    let lane = Lane::current();
    account.start(lane);
    account.end(lane, Outcome::Success, false, ticks);
}

fn assert_two(account: &Account) {
    let totals = account.totals();
    assert_eq!((totals.started, totals.longest), (2, 2));
    assert_eq!(totals.ended[end_index(Outcome::Success, false)], 2);
    assert_eq!(totals.buckets.iter().sum::<u32>(), 2);
}

/// No count is lost if two threads share a lane and create the shard of this lane at the same time.
pub fn an_account_loses_no_count() {
    explore("an account loses no count", || {
        let account = Arc::new(Account::new(None, &Clock));
        share_other_lanes();
        let threads = [1, 2].map(|ticks| {
            let account = Arc::clone(&account);
            spawn(move || run(&account, ticks))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_two(&account);
    });
}

/// While a thread with an owned lane and a thread with a shared lane add to an account, a reader never sees more ends
/// than starts.
pub fn an_account_never_shows_more_ends_than_starts() {
    explore("an account never shows more ends than starts", || {
        let account = Arc::new(Account::new(None, &Clock));
        share_other_lanes();
        let writer = {
            let account = Arc::clone(&account);
            spawn(move || run(&account, 1))
        };
        let reader = {
            let account = Arc::clone(&account);
            spawn(move || {
                let (started, ended) = account.counts();
                assert!(ended.iter().sum::<u64>() <= started, "{ended:?} of {started}");
            })
        };
        run(&account, 2);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_two(&account);
    });
}
