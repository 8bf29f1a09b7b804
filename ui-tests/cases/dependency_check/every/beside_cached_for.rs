use process_runtime::dependency_check;

#[dependency_check(id = "memory", every = "5m", cached_for = "5s")]
async fn greets() {}

fn main() {}
