use process_runtime::contract;

#[contract(process = "greet", case = hapy)]
fn is_greeted() -> usize {
    3
}

fn main() {
    let _: usize = is_greeted();
}
