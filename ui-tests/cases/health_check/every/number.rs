use process_runtime::health_check;

#[health_check(process = "greet", every = 300)]
async fn greets() {}

fn main() {}
