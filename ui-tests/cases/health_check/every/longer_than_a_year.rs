use process_runtime::health_check;

#[health_check(process = "greet", every = "10000h")]
async fn greets() {}

fn main() {}
