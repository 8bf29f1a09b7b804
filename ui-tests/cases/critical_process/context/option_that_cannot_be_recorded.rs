use process_runtime::critical_process;

struct User {
    is_known: bool,
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(user))]
fn greet(user: Option<User>) -> bool {
    user.is_some_and(|user| user.is_known)
}

fn main() {}
