use process_runtime::dependency_check;

#[dependency_check(id = "memory")]
fn greets() {}

fn main() {}
