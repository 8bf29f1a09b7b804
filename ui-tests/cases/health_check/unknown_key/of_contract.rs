use process_runtime::health_check;

#[health_check(process = "greet", case = happy)]
async fn greets() {}

fn main() {}
