use process_runtime::contract;

#[contract(process = "greet", case = happy)]
struct Greeting;

fn main() {}
