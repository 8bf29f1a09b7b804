#![allow(dead_code, non_camel_case_types, reason = "named like what they hide")]

mod core {}
mod std {}
mod process_runtime {}

struct Result;
struct Ok;
struct Err;
struct Box;
struct str;
struct States;
struct Checking;
struct CheckEnd;

/// Methods of every type, which the compiler prefers to methods that take a reference.
trait Taken: Sized {
    fn get<T>(self) {}
    fn of<T>(self, _: T) {}
    fn begin<T>(self, _: T) {}
}

impl<T> Taken for T {}

#[::process_runtime::critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet() {}

#[::process_runtime::health_check(process = "greet")]
async fn greets(__states: usize, __0: u8) -> ::core::result::Result<Result, usize> {
    greet();
    if __0 == 0 { ::core::result::Result::Err(__states) } else { ::core::result::Result::Ok(Result) }
}

#[::process_runtime::dependency_check(id = "memory")]
async fn remembers(__begin: u8) {
    assert_eq!(__begin, 0);
}

fn main() {
    let ids = ::process_runtime::health::checks().map(|check| check.target().id());
    assert_eq!(ids.collect::<Vec<_>>(), ["greet", "memory"]);
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let reports = runtime.block_on(async {
        let health = ::process_runtime::health::Setup::new().with(3_usize).with(0_u8).start();
        [health.report("greet").await.unwrap(), health.report("memory").await.unwrap()]
    });
    assert_eq!(reports[0].output.as_deref(), ::core::option::Option::Some("3"));
    assert_eq!(reports[1].status, ::process_runtime::health::Status::Pass);
}
