use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted() {
    greet("you");
}

fn main() {}
