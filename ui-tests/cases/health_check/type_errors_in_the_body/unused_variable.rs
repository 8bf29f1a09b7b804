// A warning of the body is a warning of the user's, once; the function itself is used.
#![deny(warnings)]

use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(name: String, other: String) {
    let length = other.len();
}

fn main() {}
