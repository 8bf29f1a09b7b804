use process_runtime::contract;

#[contract(process = "greet", case = happy)]
async fn is_greeted() -> Result<(), String> {
    3
}

fn main() {}
