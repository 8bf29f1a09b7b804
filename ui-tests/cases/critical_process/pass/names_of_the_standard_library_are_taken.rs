#![allow(dead_code, non_camel_case_types, reason = "named like what they hide")]

mod core {}
mod std {}
mod tracing {}

struct Result;
struct Option;
struct String;
struct str;

#[allow(non_snake_case, reason = "named like what it hides")]
fn Ok() {}
#[allow(non_snake_case, reason = "named like what it hides")]
fn Err() {}
#[allow(non_snake_case, reason = "named like what it hides")]
fn Some() {}

#[::process_runtime::critical_process(id = "greet", version = "1.0.0", sla = "2s", context(name))]
fn greet(name: &'static ::core::primitive::str) -> ::core::result::Result<usize, ::core::fmt::Error> {
    ::core::result::Result::Ok(name.len())
}

#[::process_runtime::critical_process(id = "rest", version = "1.0.0", sla = "2s")]
async fn rest() -> Result {
    Result
}

fn main() {
    assert!(greet("you").is_ok());
    drop(rest());
}
