use process_runtime::contract;

#[contract(process = "greet", case = happy)]
mod tests {}

fn main() {}
