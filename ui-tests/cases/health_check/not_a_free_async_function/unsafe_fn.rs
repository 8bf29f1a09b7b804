use process_runtime::health_check;

#[health_check(process = "greet")]
async unsafe fn greets() {}

fn main() {}
