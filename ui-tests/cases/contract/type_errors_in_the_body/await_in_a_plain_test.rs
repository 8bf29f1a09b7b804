use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted() {
    std::future::ready(()).await;
}

fn main() {}
