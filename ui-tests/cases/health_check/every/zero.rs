use process_runtime::health_check;

#[health_check(process = "greet", every = "0s")]
async fn greets() {}

fn main() {}
