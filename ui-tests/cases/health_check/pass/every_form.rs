use std::cell::Cell;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use process_runtime::health::{CheckTarget, States, Verdict, checks};
use process_runtime::{critical_process, health_check};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
async fn greet(name: &str) -> Result<usize, String> {
    if name.is_empty() { Err("no name".to_owned()) } else { Ok(name.len()) }
}

trait Names: Send + Sync {
    fn first(&self) -> String;
}

impl Names for String {
    fn first(&self) -> String {
        self.clone()
    }
}

#[derive(Clone)]
struct State<T>(T);

/// Has every key and every form of argument.
#[health_check(process = "greet", timeout = "29999ms", every = "1s", crate = ::process_runtime)]
async fn greets(
    State(name): State<String>,
    mut count: usize,
    #[cfg(any())] left_out: Missing,
    #[cfg(all())] names: Arc<dyn Names>,
    _: [u8; 2],
) -> Result<impl Display, String> {
    count += greet(&name).await?;
    Ok(count + greet(&names.first()).await?)
}

/// Has only the required key.
#[health_check(process = "nothing")]
async fn nothing() {}

mod within {
    use process_runtime::health_check;

    #[health_check(process = "within", cached_for = "1m")]
    #[allow(clippy::unused_async, reason = "of the user")]
    pub(crate) async fn r#type(names: fn(&str) -> usize) -> process_runtime::health::CheckVerdict {
        if names("you") == 3 {
            process_runtime::health::CheckVerdict::Pass
        } else {
            process_runtime::health::CheckVerdict::Warn("who?".to_owned())
        }
    }
}

/// Is deprecated and awaits nothing.
#[deprecated]
#[health_check(process = "old")]
#[cfg_attr(all(), expect(clippy::unused_async, reason = "of the user"))]
async fn old(deps: Deps) -> Result<Verdict, Box<dyn std::error::Error>> {
    deps.count.parse::<u8>()?;
    Ok(Verdict::Warn("it is old".to_owned()))
}

#[derive(Clone)]
struct Deps {
    count: &'static str,
}

macro_rules! check_of {
    ($name:ident, $id:literal, $value:ident: $ty:ty, $body:block) => {
        #[health_check(process = $id)]
        async fn $name($value: $ty) -> Result<(), $ty> $body
    };
}

check_of!(from_a_macro, "made", value: u8, { Err(value) });

fn in_a_function() {
    #[derive(Clone)]
    struct Local;

    #[health_check(process = "local")]
    async fn local(_local: Local) {}
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn main() {
    let mut states = States::default();
    states.insert(State("you".to_owned()));
    states.insert(1_usize);
    states.insert::<Arc<dyn Names>>(Arc::new("me".to_owned()));
    states.insert([0_u8; 2]);
    states.insert::<fn(&str) -> usize>(str::len);
    states.insert(Deps { count: "300" });
    states.insert(7_u8);
    in_a_function();

    let said = |id: &str| {
        let check = checks().find(|check| *check.target() == CheckTarget::Process(id.to_owned())).unwrap();
        check.begin(&states).map(poll).map_err(|missing| missing.to_string())
    };
    let fail = |reason: &str| Ok(Poll::Ready(Verdict::Fail(reason.to_owned())));
    assert_eq!(said("greet"), Ok(Poll::Ready(Verdict::Pass)));
    assert_eq!(said("nothing"), Ok(Poll::Ready(Verdict::Pass)));
    assert_eq!(said("within"), Ok(Poll::Ready(Verdict::Pass)));
    assert_eq!(said("old"), fail("number too large to fit in target type"));
    assert_eq!(said("made"), fail("7"));
    assert!(said("local").unwrap_err().contains("Local`; provide it with `health::Setup::with(…)`"));

    let all: Vec<_> = checks().map(|check| (check.target().id(), check.timeout(), check.cached_for())).collect();
    let seconds = Duration::from_secs;
    assert_eq!(
        all,
        [
            ("greet", Duration::from_millis(29_999), seconds(1)),
            ("local", seconds(10), seconds(5)),
            ("made", seconds(10), seconds(5)),
            ("nothing", seconds(10), seconds(5)),
            ("old", seconds(10), seconds(5)),
            ("within", seconds(10), seconds(60)),
        ]
    );
    // The function can still be called directly.
    let called = Cell::new(false);
    let call = async { called.set(within::r#type(str::len).await == Verdict::Pass) };
    assert!(poll(call).is_ready() && called.get());
}
