use process_runtime::health_check;

#[health_check()]
async fn greets() {}

fn main() {}
