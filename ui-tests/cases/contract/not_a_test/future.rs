use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted() -> impl Future<Output = ()> {
    std::future::ready(())
}

fn main() {}
