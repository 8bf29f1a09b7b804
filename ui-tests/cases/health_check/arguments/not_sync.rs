use std::cell::Cell;

use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(count: Cell<usize>) {
    count.set(1);
}

fn main() {}
