use process_runtime::{contract, critical_process};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
#[contract(process = "greet", case = happy)]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {
    is_greeted();
}
