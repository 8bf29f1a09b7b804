use std::sync::Arc;

use process_runtime::critical_process;

trait Open {
    async fn open(&self) -> u8;

    #[critical_process(id = "open_twice", version = "1.0.0", sla = "2s")]
    async fn open_twice(&self) -> u8 {
        self.open().await + self.open().await
    }
}

struct Shop {
    id: u8,
}

impl Shop {
    #[critical_process(id = "own", version = "1.0.0", sla = "2s", context(id = self.id))]
    fn own(self: Arc<Self>) -> u8 {
        self.id
    }

    #[critical_process(id = "rename", version = "1.0.0", sla = "2s", context(to))]
    fn rename(&mut self, to: u8) -> &mut u8 {
        self.id = to;
        &mut self.id
    }

    #[critical_process(id = "close", version = "1.0.0", sla = "2s")]
    async fn close(self) {}
}

impl Open for Shop {
    #[critical_process(id = "open", version = "1.0.0", sla = "2s", handler = "Shop::open")]
    async fn open(&self) -> u8 {
        self.id
    }
}

fn main() {
    let mut shop = Shop { id: 1 };
    *shop.rename(2) += 1;
    drop(shop.open_twice());
    drop(shop.close());
    assert_eq!(Arc::new(Shop { id: 4 }).own(), 4);
}
