// A warning about the body is reported once, and the function is not unused.
#![deny(warnings)]

use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(name: String, other: String) {
    let length = other.len();
}

fn main() {}
