use process_runtime::critical_process;

struct Query {
    page: u32,
    size: u32,
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(pgae))]
fn list(Query { page, size }: Query) -> u32 {
    page * size
}

fn main() {}
