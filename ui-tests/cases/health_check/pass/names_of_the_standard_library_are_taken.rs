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

#[::process_runtime::health_check(process = "greet")]
async fn greets(__states: usize, __0: u8) -> ::core::result::Result<Result, usize> {
    if __0 == 0 { ::core::result::Result::Err(__states) } else { ::core::result::Result::Ok(Result) }
}

#[::process_runtime::dependency_check(id = "memory")]
async fn remembers(__begin: u8) {
    assert_eq!(__begin, 0);
}

fn main() {
    let mut states = ::process_runtime::health::States::default();
    states.insert(3_usize);
    states.insert(0_u8);
    let ids = ::process_runtime::health::checks().map(|check| check.target().id());
    assert_eq!(ids.collect::<Vec<_>>(), ["greet", "memory"]);
    assert!(::process_runtime::health::checks().all(|check| {
        ::process_runtime::health::CheckDefinition::begin(check, &states).is_ok()
    }));
}
