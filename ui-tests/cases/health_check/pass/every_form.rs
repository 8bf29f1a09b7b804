use std::cell::Cell;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use process_runtime::health::{CheckVerdict, Setup, Status, checks};
use process_runtime::{critical_process, health_check};

macro_rules! process {
    ($name:ident, $id:literal) => {
        #[critical_process(id = $id, version = "1.0.0", sla = "2s")]
        fn $name() {}
    };
}

process!(run_nothing, "nothing");
process!(run_within, "within");
process!(run_old, "old");
process!(run_made, "made");
process!(run_local, "local");

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
async fn nothing() {
    run_nothing();
}

mod within {
    use process_runtime::health_check;

    #[health_check(process = "within", cached_for = "1m")]
    #[allow(clippy::unused_async, reason = "of the user")]
    pub(crate) async fn r#type(names: fn(&str) -> usize) -> process_runtime::health::CheckVerdict {
        super::run_within();
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
async fn old(deps: Deps) -> Result<CheckVerdict, Box<dyn std::error::Error>> {
    run_old();
    deps.count.parse::<u8>()?;
    Ok(CheckVerdict::Warn("it is old".to_owned()))
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

check_of!(from_a_macro, "made", value: u8, {
    run_made();
    Err(value)
});

fn in_a_function() {
    #[derive(Clone)]
    struct Local;

    #[health_check(process = "local")]
    async fn local(_local: Local) {
        run_local();
    }
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let health = runtime.block_on(async {
        Setup::new()
            .with(State("you".to_owned()))
            .with(1_usize)
            .with::<Arc<dyn Names>>(Arc::new("me".to_owned()))
            .with([0_u8; 2])
            .with::<fn(&str) -> usize>(str::len)
            .with(Deps { count: "300" })
            .with(7_u8)
            .start()
    });
    in_a_function();

    let reported = |id: &str| {
        let report = runtime.block_on(health.report(id)).unwrap();
        (report.status, report.output.unwrap_or_default())
    };
    let pass = (Status::Pass, String::new());
    let fail = |reason: &str| (Status::Fail, reason.to_owned());
    assert_eq!(reported("greet"), pass);
    assert_eq!(reported("nothing"), pass);
    assert_eq!(reported("within"), pass);
    assert_eq!(reported("old"), fail("number too large to fit in target type"));
    assert_eq!(reported("made"), fail("7"));
    assert!(reported("local").1.contains("Local`; provide it with `health::Setup::with(…)`"));

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
    let call = async { called.set(within::r#type(str::len).await == CheckVerdict::Pass) };
    assert!(poll(call).is_ready() && called.get());
}
