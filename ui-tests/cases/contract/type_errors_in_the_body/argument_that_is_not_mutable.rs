use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted(name: String) {
    name.push('!');
}

fn main() {}
