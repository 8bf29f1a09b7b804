use process_runtime::dependency_check;

#[dependency_check(id = "memory")]
async fn answers(hosts: &[String]) {
    assert!(!hosts.is_empty());
}

fn main() {}
