use process_runtime::critical_process;

async fn load(name: &str) -> String {
    name.to_owned()
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(user = load(name).await))]
async fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
