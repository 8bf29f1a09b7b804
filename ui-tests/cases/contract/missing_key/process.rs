use process_runtime::contract;

#[contract(case = happy)]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
