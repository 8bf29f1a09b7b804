use process_runtime::dependency_check;

#[dependency_check(depends_on("memory"))]
async fn greets() {}

fn main() {}
