use process_runtime::contract;

#[contract(process = "greet", case = happy)]
const fn is_greeted() {}

fn main() {}
