use process_runtime::contract;

#[contract(process = "greet", case = error(GreetError::Empty))]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
