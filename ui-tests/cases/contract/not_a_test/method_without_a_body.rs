use process_runtime::contract;

trait Greeting {
    #[contract(process = "greet", case = happy)]
    fn is_greeted(&self);
}

fn main() {}
