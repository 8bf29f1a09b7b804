use process_runtime::contract;

#[contract(process = "greet", case = happy("empty", "too_long"))]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
