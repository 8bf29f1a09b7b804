use process_runtime::contract;

#[contract(process = "Greet", case = timout, owner = "us", cas = happy)]
const fn is_greeted() {}

fn main() {}
