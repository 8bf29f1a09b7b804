use process_runtime::critical_process;

struct Shop {
    id: u64,
}

impl Shop {
    #[critical_process(id = "open_shop", version = "1.0.0", sla = "2s", context(self))]
    fn open(&self) -> u64 {
        self.id
    }
}

fn main() {}
