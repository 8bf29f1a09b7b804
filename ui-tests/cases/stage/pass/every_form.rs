use process_runtime::stage;

#[stage(id = "enter")]
fn enter(name: &str) -> usize {
    name.len()
}

#[stage(id = "sit", process = "visit", sla = "500ms", after("enter"), context(seat), name = "Take a seat")]
async fn sit(seat: u8) -> Result<u8, String> {
    Ok(seat)
}

fn main() {
    assert_eq!(enter("you"), 3);
    drop(sit(4));
}
