use process_runtime::contract;

#[contract(process = "greet", case = error())]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
