use process_runtime::contract;

#[contract(process = "greet", outcome = happy)]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
