// One mistake is one error: callers, `record!` and the types of the body still compile.
use process_runtime::{critical_process, record};

struct Shop;

impl Shop {
    #[critical_process(id = "place_order", version = "1.0.0", sla = "2", context(order, later(total)))]
    async fn place<'a>(&self, order: &'a str) -> Result<&'a str, String> {
        record!(total = order.len());
        Ok(order)
    }
}

fn main() {
    let order = String::from("tea");
    let _placed = Shop.place(&order);
}
