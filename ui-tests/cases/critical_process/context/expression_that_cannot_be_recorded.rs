use process_runtime::critical_process;

struct Name(String);

struct User {
    name: Name,
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(who = user.name))]
fn greet(user: &User) -> usize {
    user.name.0.len()
}

fn main() {}
