use process_runtime::contract;

#[contract(process = "greet", case = happy)]
async fn is_greeted(name: String) {
    drop(name);
    drop(name);
}

fn main() {}
