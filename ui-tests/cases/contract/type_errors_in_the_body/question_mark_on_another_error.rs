use process_runtime::contract;

#[contract(process = "greet", case = happy)]
async fn is_greeted() -> Result<(), std::fmt::Error> {
    "3".parse::<u32>()?;
    Ok(())
}

fn main() {}
