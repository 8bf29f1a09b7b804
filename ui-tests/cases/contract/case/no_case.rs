use process_runtime::contract;

#[contract(process = "greet", case = unhappy_path)]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {}
