use process_runtime::{contract, critical_process};

#[contract(process = "greet", case = happy)]
#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn is_greeted() {
    assert_eq!("you".len(), 3);
}

fn main() {
    is_greeted();
}
