use process_runtime::critical_process;

#[critical_process(
    id = "PlaceOrder",
    version = "2.1",
    sla = 120,
    criticality = vital,
    ownr = "checkout",
    objective = 100,
    context(order, usr, later(Count)),
    rejects(Empty, _),
    depends_on("Stock DB"),
    id = "place_order",
)]
async fn place(order: u64, user: u64) -> Result<u64, String> {
    Ok(order + user)
}

fn main() {}
