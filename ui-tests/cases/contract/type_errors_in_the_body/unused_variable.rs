// A warning about the body is reported once, as without the attribute.
#![deny(warnings)]

use process_runtime::contract;

#[contract(process = "greet", case = happy)]
async fn is_greeted(name: &str, other: &str) {
    let length = other.len();
}

fn main() {
    drop(is_greeted("me", "you"));
}
