#![deny(warnings)]

use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted() -> Result<(), String> {
    let greeted = || Err::<(), _>(String::new());
    greeted();
    Ok(())
}

fn main() {
    drop(is_greeted());
}
