use process_runtime::health_check;

#[health_check(process = "greet", crate = nowhere)]
async fn greets() {}

fn main() {}
