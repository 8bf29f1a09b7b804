use process_runtime::contract;

struct Greeting;

impl Greeting {
    #[contract(process = "greet", case = happy)]
    fn is_greeted(&self) {}
}

fn main() {}
