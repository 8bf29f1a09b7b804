use process_runtime::contract;

struct Greeting;

#[contract(process = "greet", case = happy)]
impl Greeting {}

fn main() {}
