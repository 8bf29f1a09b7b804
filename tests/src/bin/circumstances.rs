//! A program for `tests/telemetry` that sets up its telemetry in one call. Its second argument selects the situation
//! in which the program does so.

use std::cell::RefCell;
use std::num::ParseIntError;
#[cfg(unix)]
use std::os::unix::process::CommandExt as _;
use std::panic::catch_unwind;
#[cfg(unix)]
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::Tracer as _;
use process_runtime::telemetry::{Telemetry, TelemetryBuilder};
use process_runtime::{Install, critical_process};
use process_tests::capture::Capture;

/// Logs an error, as if a first attempt had failed, and then parses the text.
#[critical_process(id = "parse_order", version = "1.0.0", sla = "1s", context(text))]
fn parse(text: &str) -> Result<u64, ParseIntError> {
    tracing::error!(target: "parser", "the first attempt failed");
    text.parse()
}

/// Panics.
#[critical_process(id = "panicking", version = "1.0.0", sla = "1s")]
fn panicking() -> Result<u64, ParseIntError> {
    panic!("no such order")
}

/// Opens spans through OpenTelemetry, without `tracing`. Returns a span that is still open.
#[critical_process(id = "native", version = "1.0.0", sla = "1s", context(order))]
fn native(order: &str) -> BoxedSpan {
    let tracer = global::tracer("driver");
    let own = [KeyValue::new("order", "another")];
    drop(tracer.span_builder("says itself").with_attributes(own).start(&tracer));
    tracer.start("query")
}

/// A logger that drops every record.
struct Silent;

impl log::Log for Silent {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

thread_local! {
    static HELD: RefCell<Option<tracing::Span>> = const { RefCell::new(None) };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("a directory, and a circumstance");
    let (directory, circumstance) = (next(), next());
    let other = directory.clone();
    let init = || TelemetryBuilder::new().service("shop", "2.0.0").directory(directory).init();
    match circumstance.as_str() {
        "an error is logged" => {
            let _telemetry = init();
            let _ = (parse("1"), parse("one"));
        }
        "a subscriber is set" => {
            let capture = Capture::new();
            tracing::dispatcher::set_global_default(capture.dispatch()).expect("there is none");
            let telemetry = init();
            let _ = parse("1");
            println!("{:?}", telemetry.destinations());
            capture.only("parse_order").fields.iter().for_each(|field| println!("{field:?}"));
        }
        "a logger is set" => {
            log::set_logger(&Silent).expect("there is none");
            let telemetry = init();
            let _ = parse("1");
            println!("{:?}", telemetry.destinations());
        }
        "records are logged" => {
            let _telemetry = init();
            log::error!("a record that is an error");
            log::info!(target: "quiet::module", "a record that the filter leaves out");
            log::debug!(target: "my_crate::module", "a record for debugging");
        }
        "init is called twice" => {
            let first = init();
            let second = TelemetryBuilder::new().init();
            println!("{} {:?}", first.destinations().len(), second.destinations());
            let _ = parse("1");
            println!("flushed {}", second.flush(Duration::from_secs(5)));
            drop(second);
            let _ = parse("2");
            drop(first);
            let third = TelemetryBuilder::new().service("later", "1.0.0").directory(other).init();
            println!("third {:?}", third.destinations());
        }
        #[cfg(unix)]
        "it forks" => {
            let _telemetry = init();
            let _ = parse("1");
            in_child(|| {
                let _ = (parse("2"), parse("two"), parse("3"));
                Install::new().start().stop();
                // A child of the child reports too.
                in_child(|| drop(parse("4")));
            });
            in_child(|| Install::new().start().stop());
            in_child(|| drop(TelemetryBuilder::new().init()));
            let _ = parse("5");
        }
        #[cfg(unix)]
        "a child only logs" => {
            let _telemetry = init();
            in_child(|| {
                tracing::info!("from the child");
                tracing::warn!("also from the child");
            });
        }
        #[cfg(unix)]
        "it forks after a stop" => {
            drop(init());
            in_child(|| {
                let _telemetry = TelemetryBuilder::new().directory(other).init();
                let _ = parse("1");
            });
        }
        "init is called by several threads" => {
            let init = || TelemetryBuilder::new().service("shop", "2.0.0").directory(&other).init();
            let all: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(init)).collect();
                threads.into_iter().map(|thread| thread.join().expect("it ends well")).collect()
            });
            let _ = parse("1");
            println!("{}", all.iter().filter(|telemetry| !telemetry.destinations().is_empty()).count());
        }
        #[cfg(unix)]
        "it starts programs" => {
            let _telemetry = init();
            let _ = parse("1");
            // With a function to call first, the standard library forks; without one, it does not have to.
            let mut forking = Command::new("true");
            // SAFETY: The function does nothing.
            unsafe { forking.pre_exec(|| Ok(())) };
            for command in [&mut forking, &mut Command::new("true")] {
                assert!(command.status().expect("it starts").success());
            }
            let _ = parse("2");
        }
        #[cfg(unix)]
        "it forks before init" => in_child(|| {
            let _telemetry = init();
            let _ = parse("1");
        }),
        "no name of a function can be looked up" => {
            let (sender, receiver) = std::sync::mpsc::channel();
            thread::spawn(move || {
                // While names are looked up, the crate `backtrace` holds a lock that every look-up needs.
                // The look-up takes the address as one to return to, and looks before it.
                backtrace::resolve((main as fn() as usize + 1) as *mut std::ffi::c_void, |_| {
                    let _ = sender.send(());
                    thread::sleep(Duration::from_secs(60));
                });
            });
            receiver.recv().expect("the name of `main` is looked up");
            let _telemetry = init();
            let _ = parse("one");
        }
        "spans are made without tracing" => {
            let _telemetry = init();
            let query = native("o-1");
            drop(global::tracer("driver").start("outside"));
            drop(query);
        }
        "a Sentry client is set" => {
            let options = sentry::ClientOptions::new().dsn("http://own@127.0.0.1:9/1");
            let _sentry = sentry::init(options.transport(sentry::test::TestTransport::new()));
            let telemetry = init();
            let dsn = sentry::Hub::current().client().and_then(|client| client.dsn().cloned());
            println!("{:?} {:?}", dsn.map(|dsn| dsn.to_string()), telemetry.destinations());
        }
        "a thread ends with a span" => {
            let _telemetry = init();
            let holds = || {
                HELD.take();
                HELD.set(Some(tracing::info_span!("held")));
                drop(tracing::info_span!("before"));
            };
            thread::spawn(holds).join().expect("it ends well");
        }
        "a thread was first" => {
            // The spawned thread is the first to use Sentry, so Sentry's main hub belongs to it.
            thread::spawn(|| parse("1")).join().expect("it ends well").expect("a number");
            let _telemetry = init();
            let _ = parse("one");
            let _ = thread::spawn(|| parse("two")).join().expect("it ends well");
        }
        "runs panic" => {
            let telemetry = init();
            // When the thread that sends events starts, it reads the debug information, which is slow. The sleep
            // waits for the end of this reading.
            thread::sleep(Duration::from_secs(1));
            let times = (0..5).map(|_| {
                let started = Instant::now();
                let ended = catch_unwind(panicking);
                assert!(ended.is_err());
                started.elapsed()
            });
            println!("{}", times.max().unwrap_or_default().as_millis());
            end_soon(telemetry);
        }
        "everything hangs" => {
            let telemetry = init();
            let _ = (parse("1"), parse("one"));
            let started = Instant::now();
            drop(telemetry);
            println!("{}", started.elapsed().as_millis());
        }
        "a panic ends the program" => {
            struct Flushing(Telemetry);
            impl Drop for Flushing {
                fn drop(&mut self) {
                    println!("flushed {}", self.0.flush(Duration::from_secs(5)));
                    std::process::exit(0);
                }
            }
            let _telemetry = Flushing(init());
            panicking().expect("it does not return");
        }
        "a failure with large values" => {
            let _telemetry = init();
            let large = "x".repeat(1 << 20);
            for number in 0..3 {
                sentry::configure_scope(|scope| {
                    scope.set_extra(&format!("large {number}"), (&*large).into())
                });
            }
            for number in 0..20 {
                let message = Some(format!("{number} {}", &large[..100 << 10]));
                sentry::add_breadcrumb(sentry::Breadcrumb { message, ..Default::default() });
            }
            sentry::configure_scope(|scope| {
                for number in 0..20_000 {
                    scope.set_tag(&format!("tag {number}"), "value");
                }
            });
            let _ = parse("one");
        }
        "several exports" => {
            let telemetry = init();
            for _ in 0..4 {
                let _ = parse("1");
                telemetry.flush(Duration::from_secs(5));
            }
            telemetry.installation().report().iter().for_each(|line| println!("{line}"));
        }
        "an error at the start" => {
            drop(init());
            eprintln!("error: the port is taken");
        }
        "telemetry is dropped too early" => {
            drop(init());
            let _ = parse("1");
        }
        "many fail at once" => {
            let telemetry = init();
            (0..400).for_each(|_| drop(parse("many")));
            drop(telemetry);
        }
        other => panic!("no circumstance {other}"),
    }
}

#[cfg(unix)]
unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
}

/// Calls a function in a child process that is made by `fork` without `exec`, and waits for its end.
#[cfg(unix)]
fn in_child(body: impl FnOnce()) {
    // SAFETY: The child calls the function and ends. Only tests do this in a program with several threads.
    let child = unsafe { fork() };
    if child == 0 {
        body();
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `child` is a child of this process, and `status` is valid for the call.
    let ended = unsafe { waitpid(child, &raw mut status, 0) };
    assert_eq!((ended, status), (child, 0), "the child ends well");
}

/// Ends the program without sending the remaining telemetry, so that a Sentry that never answers delays nothing.
fn end_soon(telemetry: Telemetry) {
    let _ = Install::new().start();
    std::mem::forget(telemetry);
}
