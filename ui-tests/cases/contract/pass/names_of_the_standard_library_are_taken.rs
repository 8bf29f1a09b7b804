#![allow(dead_code, non_camel_case_types, reason = "named like what they hide")]

mod core {}
mod std {}
mod process_runtime {}

struct Result;
struct str;
struct Contracted;

/// Methods of every type, which the compiler prefers to methods that take a reference.
trait Taken: Sized {
    fn run<T>(self, _: T) {}
    fn call<T>(self, _: T) {}
    fn finish<T>(&self, _: T) {}
}

impl<T> Taken for T {}

#[::process_runtime::critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(name: &::core::primitive::str) -> usize {
    name.len()
}

#[::process_runtime::contract(process = "greet", case = happy)]
fn is_greeted(__contracted: &'static ::core::primitive::str, __out: usize) -> usize {
    let run = ::process_runtime::testing::observe_call(|| greet(__contracted)).run();
    assert_eq!(run.into_value(), __out);
    __out
}

#[::process_runtime::contract(process = "greet", case = edge)]
async fn rests() -> Result {
    Result
}

fn main() {
    assert_eq!(is_greeted("you", 3), 3);
    drop(rests());
}
