use process_runtime::dependency_check;

#[dependency_check(id = "memory")]
async fn answers() -> &'static str {
    "pong"
}

fn main() {}
