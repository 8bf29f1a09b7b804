//! What a run belongs to: its domain, its thread, and the account that counts its stages.

use std::cell::RefCell;
use std::sync::mpsc;
use std::time::Duration;

use process_runtime::registry::Finding;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Outcome, critical_process, registry, stage};

use super::{How, Trouble, any_outcome, judged};

#[critical_process(id = "at_the_end", version = "1.0.0", sla = "10s")]
fn at_the_end() -> u8 {
    1
}

#[test]
fn a_thread_can_run_processes_until_its_very_end() {
    struct Ends(mpsc::Sender<u8>);
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send(at_the_end());
        }
    }
    thread_local! {
        static ENDS: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
        static ENDS_TOO: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    }
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // The first value is created before the thread-locals of the runtime, and the second after them.
        ENDS.with_borrow_mut(|ends| ends.push(Ends(sender.clone())));
        at_the_end();
        ENDS_TOO.with_borrow_mut(|ends| ends.push(Ends(sender)));
    });
    thread.join().unwrap();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 1]);
}

#[stage(id = "shared_part")]
fn shared_part() {}

#[critical_process(id = "carrying", version = "1.0.0", sla = "10s")]
fn carrying() {
    let carrier = Carrier::current();
    std::thread::spawn(move || carrier.run(shared_part)).join().unwrap();
}

#[test]
fn a_carrier_carries_the_process_with_it_without_a_destination() {
    carrying();
    assert_eq!(registry::stage_stats("carrying").unwrap()["shared_part"].started, 1);
}

macro_rules! twice {
    ($($function:tt)*) => {
        const _: () = {
            #[allow(dead_code, reason = "as `#[debug_handler]` does")]
            $($function)*
        };
        $($function)*
    };
}

twice! {
    #[critical_process(id = "expanded_twice", version = "1.0.0", sla = "10s")]
    fn expanded_twice() {}
}

#[test]
fn a_function_that_another_macro_emits_twice_is_one_process() {
    expanded_twice();
    assert_eq!(registry::stats("expanded_twice").unwrap().started, 1);
    assert_eq!(registry::all().filter(|process| process.id() == "expanded_twice").count(), 1);
    let said_twice = |finding: &Finding| finding.to_string().contains("expanded_twice");
    assert!(!registry::validate().iter().any(said_twice));
}

#[stage(id = "first", process = "staged", sla = "1s")]
async fn first_stage(seconds: u64) -> Result<(), Trouble> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    if seconds == 0 { Err(Trouble::Ours) } else { Ok(()) }
}

#[stage(id = "shared")]
fn shared_stage() {}

#[critical_process(id = "staged", version = "1.0.0", sla = "10s")]
async fn staged(seconds: u64) -> bool {
    shared_stage();
    first_stage(seconds).await.is_ok()
}

#[critical_process(id = "also_staged", version = "1.0.0", sla = "10s")]
fn also_staged() {
    shared_stage();
}

#[tokio::test(start_paused = true)]
async fn stages_have_their_own_account_for_each_process() {
    let domain = Domain::new();
    domain
        .run(async {
            assert!(!staged(0).await);
            assert!(staged(2).await);
            also_staged();
        })
        .await;
    let stages = domain.call(|| registry::stage_stats("staged")).unwrap();
    assert_eq!(stages["first"].ended.count(Outcome::Failure), 1);
    assert_eq!(stages["first"].ended.count_late(Outcome::Success), 1);
    assert_eq!(stages["shared"].ended.total(), 2);
    let stages = domain.call(|| registry::stage_stats("also_staged")).unwrap();
    assert_eq!(stages["shared"].ended.total(), 1);
    // The process succeeded although its stage failed.
    assert_eq!(domain.stats("staged").unwrap().ended.count_on_time(Outcome::Success), 2);
}

#[tokio::test(start_paused = true)]
async fn domains_do_not_see_each_other() {
    let (one, other) = (Domain::new(), Domain::new());
    one.run(other.run(any_outcome(How::Succeed))).await.unwrap();
    one.run(any_outcome(How::Fail)).await.unwrap_err();
    assert_eq!(one.stats("any_outcome").unwrap().ended.count(Outcome::Success), 0);
    assert_eq!(one.stats("any_outcome").unwrap().ended.count(Outcome::Failure), 1);
    assert_eq!(other.stats("any_outcome").unwrap().ended.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_takes_the_domain_across_spawn_thread_and_channel() {
    let domain = Domain::new();
    domain
        .run(async {
            let spawned = tokio::spawn(Carrier::current().carry(any_outcome(How::Succeed)));
            spawned.await.unwrap().unwrap();
            let carrier = Carrier::current();
            std::thread::spawn(move || carrier.run(|| judged(2))).join().unwrap();
            let (sender, receiver) = std::sync::mpsc::channel();
            sender.send((Carrier::current(), 2)).unwrap();
            let worker = std::thread::spawn(move || {
                let (carrier, rows) = receiver.recv().unwrap();
                carrier.run(|| judged(rows))
            });
            worker.join().unwrap();
        })
        .await;
    assert_eq!(domain.stats("any_outcome").unwrap().ended.total(), 1);
    assert_eq!(domain.stats("judged").unwrap().ended.total(), 2);
}
