//! Arguments and locals are dropped inside of the run, at the same time and in the same order as without the
//! attribute.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};

use process_runtime::critical_process;

use super::trial::Trial;

/// Records its name when it is dropped.
#[derive(Debug)]
struct Noted(&'static str, Notes);

#[derive(Clone, Debug, Default)]
struct Notes(Rc<RefCell<Vec<&'static str>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.write(self.0);
    }
}

impl Notes {
    fn write(&self, note: &'static str) {
        self.0.borrow_mut().push(note);
    }

    fn of(&self, name: &'static str) -> Noted {
        Noted(name, self.clone())
    }
}

struct Pair {
    left: Noted,
    right: Noted,
}

impl Pair {
    fn new(notes: &Notes, left: &'static str, right: &'static str) -> Pair {
        Pair { left: notes.of(left), right: notes.of(right) }
    }
}

mod asynchronous {
    use super::*;

    macro_rules! functions {
        ($($(#[$attr:meta])* $id:literal $name:ident($($args:tt)*) $body:block)*) => {$(
            $(#[$attr])*
            pub(super) mod $name {
                #![allow(unused_variables, reason = "the test is about when they are dropped")]

                use super::*;

                pub(in super::super) async fn bare($($args)*) $body

                #[critical_process(id = $id, version = "1.0.0", sla = "10s")]
                pub(in super::super) async fn annotated($($args)*) $body
            }
        )*};
    }

    functions! {
        "drop_async_all" all(a: Noted, b: Noted, c: Noted, n: Notes) {
            let local = n.of("local");
            let _ = (&c, &a, &b);
            tokio::task::yield_now().await;
            n.write("end");
        }
        "drop_async_unused" unused(a: Noted, _: Noted, b: Noted, _c: Noted, n: Notes) {
            let _ = &b;
            tokio::task::yield_now().await;
            n.write("end");
        }
        "drop_async_moved" moved(a: Noted, b: Noted, c: Noted, n: Notes) {
            drop(b);
            tokio::task::yield_now().await;
            let _ = (&a, &c);
            n.write("end");
        }
        "drop_async_formatted" formatted(a: Noted, b: Noted, c: Noted, n: Notes) {
            n.write(if format!("{a:?}{b:?}{c:?}").is_empty() { "" } else { "formatted" });
            tokio::task::yield_now().await;
        }
        "drop_async_patterns" patterns(Pair { left, right }: Pair, (a, b): (Noted, Noted), n: Notes) {
            let _ = (&b, &left, &a, &right);
            tokio::task::yield_now().await;
            n.write("end");
        }
        "drop_async_partial" partial(pair: Pair, c: Noted, n: Notes) {
            drop(pair.right);
            tokio::task::yield_now().await;
            let _ = &c;
            n.write("end");
        }
        "drop_async_field" field(pair: Pair, n: Notes) {
            let _ = &pair.right;
            tokio::task::yield_now().await;
            n.write("end");
        }
        "drop_async_shadowed" shadowed(a: Noted, b: Noted, n: Notes) {
            let a = n.of("inner a");
            let b = b;
            tokio::task::yield_now().await;
            n.write("end");
        }
        "drop_async_wild" wild((a, _): (Noted, Noted), b: Noted, n: Notes) {
            let _ = (&a, &b);
            tokio::task::yield_now().await;
            n.write("end");
        }
    }
}

mod synchronous {
    use super::*;

    macro_rules! functions {
        ($($(#[$attr:meta])* $id:literal $name:ident($($args:tt)*) $body:block)*) => {$(
            $(#[$attr])*
            pub(super) mod $name {
                #![allow(unused_variables, reason = "the test is about when they are dropped")]

                use super::*;

                pub(in super::super) fn bare($($args)*) $body

                #[critical_process(id = $id, version = "1.0.0", sla = "10s")]
                pub(in super::super) fn annotated($($args)*) $body
            }
        )*};
    }

    functions! {
        "drop_sync_all" all(a: Noted, b: Noted, c: Noted, n: Notes) {
            let local = n.of("local");
            let _ = (&c, &a, &b);
            n.write("end");
        }
        "drop_sync_unused" unused(a: Noted, _: Noted, b: Noted, _c: Noted, n: Notes) {
            let _ = &b;
            n.write("end");
        }
        "drop_sync_formatted" formatted(a: Noted, b: Noted, c: Noted, n: Notes) {
            n.write(if format!("{a:?}{b:?}{c:?}").is_empty() { "" } else { "formatted" });
        }
        "drop_sync_patterns" patterns(Pair { left, right }: Pair, (a, b): (Noted, Noted), n: Notes) {
            let _ = (&b, &left, &a, &right);
            n.write("end");
        }
        "drop_sync_partial" partial(pair: Pair, c: Noted, n: Notes) {
            drop(pair.right);
            let _ = &c;
            n.write("end");
        }
        "drop_sync_field" field(pair: Pair, n: Notes) {
            let _ = &pair.right;
            n.write("end");
        }
        "drop_sync_wild" wild((a, _): (Noted, Noted), b: Noted, n: Notes) {
            let _ = (&a, &b);
            n.write("end");
        }
    }
}

/// Polls a future this number of times, and then drops it. Returns all notes in order: those of the values in the
/// future, and notes of when the future was made, ready and dropped.
fn notes_of<F: Future>(polls: usize, make: impl FnOnce(Notes) -> F) -> Vec<&'static str> {
    let notes = Notes::default();
    let mut future = Box::pin(make(notes.clone()));
    notes.write("made");
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if future.as_mut().poll(cx).is_ready() {
            notes.write("ready");
        }
    }
    drop(future);
    notes.write("dropped");
    notes.0.take()
}

macro_rules! compare {
    ($name:ident($n:ident => $($args:expr),*)) => {
        for polls in 0..=2 {
            let bare = notes_of(polls, |$n| asynchronous::$name::bare($($args,)* $n));
            let annotated = notes_of(polls, |$n| asynchronous::$name::annotated($($args,)* $n));
            assert_eq!(annotated, bare, "after {polls} polls");
        }
    };
    (sync $name:ident($n:ident => $($args:expr),*)) => {{
        let $n = Notes::default();
        synchronous::$name::bare($($args,)* $n.clone());
        let bare = $n.0.take();
        synchronous::$name::annotated($($args,)* $n.clone());
        assert_eq!($n.0.take(), bare);
    }};
}

#[tokio::test(start_paused = true)]
async fn an_async_function_drops_the_arguments_that_it_uses_in_the_bare_functions_order() {
    compare!(all(n => n.of("a"), n.of("b"), n.of("c")));
    compare!(moved(n => n.of("a"), n.of("b"), n.of("c")));
    compare!(patterns(n => Pair::new(&n, "l", "r"), (n.of("a"), n.of("b"))));
    compare!(shadowed(n => n.of("a"), n.of("b")));
}

#[tokio::test(start_paused = true)]
async fn an_async_function_drops_arguments_of_which_it_uses_a_part_in_order() {
    compare!(partial(n => Pair::new(&n, "l", "r"), n.of("c")));
    compare!(field(n => Pair::new(&n, "l", "r")));
    compare!(wild(n => (n.of("a"), n.of("_")), n.of("b")));
}

#[test]
fn a_sync_function_drops_the_arguments_that_it_uses_in_the_bare_functions_order() {
    compare!(sync all(n => n.of("a"), n.of("b"), n.of("c")));
    compare!(sync patterns(n => Pair::new(&n, "l", "r"), (n.of("a"), n.of("b"))));
}

#[test]
fn a_sync_function_drops_arguments_of_which_it_uses_a_part_in_order() {
    compare!(sync partial(n => Pair::new(&n, "l", "r"), n.of("c")));
    compare!(sync field(n => Pair::new(&n, "l", "r")));
    compare!(sync wild(n => (n.of("a"), n.of("_")), n.of("b")));
}

mod methods {
    use super::*;

    impl Pair {
        pub(super) async fn bare(self, a: Noted, n: Notes) {
            let _ = (&a, &self.right);
            n.write("end");
        }

        #[critical_process(id = "drop_self", version = "1.0.0", sla = "10s")]
        pub(super) async fn annotated(self, a: Noted, n: Notes) {
            let _ = (&a, &self.right);
            n.write("end");
        }

        pub(super) fn bare_field(self, n: &Notes) {
            let _ = &self.right;
            n.write("end");
        }

        #[critical_process(id = "drop_self_field", version = "1.0.0", sla = "10s")]
        pub(super) fn annotated_field(self, n: &Notes) {
            let _ = &self.right;
            n.write("end");
        }

        pub(super) fn bare_tail(self, a: Noted, n: Notes) -> impl Future<Output = ()> {
            let local = n.of("local");
            async move {
                let _ = (&local, &a, &self.left);
                n.write("end");
            }
        }

        #[critical_process(id = "drop_tail", version = "1.0.0", sla = "10s")]
        pub(super) fn annotated_tail(self, a: Noted, n: Notes) -> impl Future<Output = ()> {
            let local = n.of("local");
            async move {
                let _ = (&local, &a, &self.left);
                n.write("end");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_drops_itself_last() {
    for polls in 0..=1 {
        let bare = notes_of(polls, |n| Pair::new(&n, "l", "r").bare(n.of("a"), n));
        let annotated = notes_of(polls, |n| Pair::new(&n, "l", "r").annotated(n.of("a"), n));
        assert_eq!(annotated, bare);
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_block_at_the_tail_drops_what_it_captured_in_order() {
    for polls in 0..=1 {
        let bare = notes_of(polls, |n| Pair::new(&n, "l", "r").bare_tail(n.of("a"), n));
        let annotated = notes_of(polls, |n| Pair::new(&n, "l", "r").annotated_tail(n.of("a"), n));
        assert_eq!(annotated, bare);
    }
}

/// Starts a run when it is dropped.
struct Closes;

impl Drop for Closes {
    #[critical_process(id = "drop_closes", version = "1.0.0", sla = "10s")]
    fn drop(&mut self) {}
}

#[critical_process(id = "drop_inside", version = "1.0.0", sla = "10s")]
async fn closes_inside(used: Closes) {
    let _local = Closes;
    let _ = &used;
}

#[critical_process(id = "drop_inside_sync", version = "1.0.0", sla = "10s")]
fn closes_inside_sync(used: Closes) {
    let _local = Closes;
    let _ = &used;
}

#[tokio::test(start_paused = true)]
async fn what_a_body_uses_is_dropped_inside_of_the_run() {
    use process_runtime::Outcome::Success;
    let trial = Trial::new();
    trial.run(closes_inside(Closes)).await;
    trial.saw(&[("drop_closes", Success), ("drop_closes", Success), ("drop_inside", Success)]);
    trial.call(|| closes_inside_sync(Closes));
    trial.saw(&[("drop_closes", Success), ("drop_closes", Success), ("drop_inside_sync", Success)]);
}

mod orders {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_async_function_drops_arguments_that_only_a_format_string_names_in_order() {
        compare!(formatted(n => n.of("a"), n.of("b"), n.of("c")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_async_function_drops_unused_arguments_in_order() {
        compare!(unused(n => n.of("a"), n.of("_"), n.of("b"), n.of("c")));
    }

    #[test]
    fn a_sync_function_drops_arguments_that_only_a_format_string_names_in_order() {
        compare!(sync formatted(n => n.of("a"), n.of("b"), n.of("c")));
    }

    #[test]
    fn a_sync_function_drops_unused_arguments_in_order() {
        compare!(sync unused(n => n.of("a"), n.of("_"), n.of("b"), n.of("c")));
    }

    #[test]
    fn a_method_that_uses_one_field_drops_all_of_itself_in_order() {
        let notes = Notes::default();
        Pair::new(&notes, "l", "r").bare_field(&notes);
        let bare = notes.0.take();
        Pair::new(&notes, "l", "r").annotated_field(&notes);
        assert_eq!(notes.0.take(), bare);
    }
}
