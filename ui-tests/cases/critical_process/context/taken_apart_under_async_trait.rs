// `async_trait` gives the argument a name of its own and destructures it in the future.
use async_trait::async_trait;
use process_runtime::critical_process;

struct Query {
    page: u32,
}

struct Shop;

#[async_trait]
trait List {
    async fn list(&self, query: Query) -> u32;
}

#[async_trait]
impl List for Shop {
    #[critical_process(id = "list_orders", version = "1.0.0", sla = "2s", context(page))]
    async fn list(&self, Query { page }: Query) -> u32 {
        page
    }
}

fn main() {}
