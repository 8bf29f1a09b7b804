use process_runtime::health_check;

#[health_check(process = "greet", every = "500ms")]
async fn greets() {}

fn main() {}
