use process_runtime::{dependency_check, stage};

#[dependency_check(id = "memory")]
#[stage(id = "remember")]
async fn answers() {}

fn main() {}
