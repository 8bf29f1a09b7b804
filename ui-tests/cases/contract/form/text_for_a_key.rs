use process_runtime::contract;

#[contract("greet", case = happy)]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
