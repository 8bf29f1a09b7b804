use process_runtime::critical_process;

struct User {
    name: String,
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(start = truncate(user.name, 10)))]
fn greet(user: &User) -> usize {
    user.name.len()
}

fn main() {}
