//! Inherent methods, with every form of `self`.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use process_runtime::Outcome::{Failure, Success};
use process_runtime::critical_process;

use super::trial::{called, ran};

#[derive(Clone, Debug, PartialEq)]
struct Till {
    coins: u32,
    name: String,
}

fn till(coins: u32) -> Till {
    Till { coins, name: "till".to_owned() }
}

impl Till {
    const SHOPS: u32 = 3;

    #[critical_process(id = "recv_async_value", version = "1.0.0", sla = "10s")]
    async fn async_value(self) -> String {
        self.name
    }

    #[critical_process(id = "recv_async_mut_value", version = "1.0.0", sla = "10s")]
    async fn async_mut_value(mut self) -> Self {
        self.coins += 1;
        self
    }

    #[critical_process(id = "recv_async_ref", version = "1.0.0", sla = "10s")]
    async fn async_ref(&self) -> &str {
        &self.name
    }

    #[critical_process(id = "recv_async_ref_mut", version = "1.0.0", sla = "10s")]
    async fn async_ref_mut(&mut self) -> &mut u32 {
        self.coins += 1;
        &mut self.coins
    }

    #[critical_process(id = "recv_async_named_ref", version = "1.0.0", sla = "10s")]
    async fn async_named_ref<'a>(&'a self, other: &str) -> Result<&'a str, usize> {
        if self.name == other { Ok(&self.name) } else { Err(other.len()) }
    }

    #[critical_process(id = "recv_async_box", version = "1.0.0", sla = "10s")]
    async fn async_box(self: Box<Self>) -> Box<Till> {
        self
    }

    #[critical_process(id = "recv_async_mut_box", version = "1.0.0", sla = "10s")]
    async fn async_mut_box(mut self: Box<Self>) -> u32 {
        self.coins += 1;
        self.coins
    }

    #[critical_process(id = "recv_async_rc", version = "1.0.0", sla = "10s")]
    async fn async_rc(self: Rc<Self>) -> usize {
        Rc::strong_count(&self)
    }

    #[critical_process(id = "recv_async_arc", version = "1.0.0", sla = "10s")]
    async fn async_arc(self: Arc<Self>) -> usize {
        Arc::strong_count(&self)
    }

    #[critical_process(id = "recv_async_ref_arc", version = "1.0.0", sla = "10s")]
    async fn async_ref_arc(self: &Arc<Self>) -> Arc<Self> {
        Arc::clone(self)
    }

    #[critical_process(id = "recv_async_pin", version = "1.0.0", sla = "10s")]
    async fn async_pin(mut self: Pin<&mut Self>) -> u32 {
        self.coins += 1;
        self.coins
    }

    #[critical_process(id = "recv_async_pin_box", version = "1.0.0", sla = "10s")]
    async fn async_pin_box(self: Pin<Box<Self>>) -> Pin<Box<Self>> {
        self
    }

    #[critical_process(id = "recv_async_typed_ref", version = "1.0.0", sla = "10s")]
    async fn async_typed_ref(self: &Self) -> &u32 {
        &self.coins
    }

    #[critical_process(id = "recv_async_typed_value", version = "1.0.0", sla = "10s")]
    async fn async_typed_value(self: Self) -> u32 {
        self.coins * Self::SHOPS
    }

    #[critical_process(id = "recv_async_unused", version = "1.0.0", sla = "10s")]
    async fn async_unused(self: Box<Self>) {}

    #[critical_process(id = "recv_value", version = "1.0.0", sla = "10s")]
    fn value(self) -> String {
        self.name
    }

    #[critical_process(id = "recv_mut_value", version = "1.0.0", sla = "10s")]
    fn mut_value(mut self) -> Self {
        self.coins += 1;
        self
    }

    #[critical_process(id = "recv_ref", version = "1.0.0", sla = "10s")]
    fn by_ref(&self) -> &str {
        &self.name
    }

    #[critical_process(id = "recv_ref_mut", version = "1.0.0", sla = "10s")]
    fn by_ref_mut(&mut self) -> &mut u32 {
        self.coins += 1;
        &mut self.coins
    }

    #[critical_process(id = "recv_ref_mut_fields", version = "1.0.0", sla = "10s")]
    fn fields(&mut self) -> (&mut u32, &mut String) {
        let Self { coins, name } = self;
        (coins, name)
    }

    #[critical_process(id = "recv_replace", version = "1.0.0", sla = "10s")]
    fn replace(&mut self, with: Self) -> Self {
        let old = self.clone();
        *self = with;
        old
    }

    #[critical_process(id = "recv_box", version = "1.0.0", sla = "10s")]
    fn by_box(self: Box<Self>) -> Box<Self> {
        self
    }

    #[critical_process(id = "recv_rc", version = "1.0.0", sla = "10s")]
    fn by_rc(self: Rc<Self>) -> usize {
        Rc::strong_count(&self)
    }

    #[critical_process(id = "recv_arc", version = "1.0.0", sla = "10s")]
    fn by_arc(self: Arc<Self>) -> usize {
        Arc::strong_count(&self)
    }

    #[critical_process(id = "recv_ref_rc", version = "1.0.0", sla = "10s")]
    fn by_ref_rc(self: &Rc<Self>) -> Rc<Self> {
        Rc::clone(self)
    }

    #[critical_process(id = "recv_pin", version = "1.0.0", sla = "10s")]
    fn by_pin(mut self: Pin<&mut Self>) -> u32 {
        self.coins += 1;
        self.coins
    }

    #[critical_process(id = "recv_pin_borrow", version = "1.0.0", sla = "10s")]
    fn by_pin_borrow(self: Pin<&mut Self>) -> Pin<&mut u32> {
        Pin::new(&mut self.get_mut().coins)
    }

    #[critical_process(id = "recv_pin_box", version = "1.0.0", sla = "10s")]
    fn by_pin_box(self: Pin<Box<Self>>) -> Pin<Box<Self>> {
        self
    }

    #[critical_process(id = "recv_none", version = "1.0.0", sla = "10s")]
    fn none(coins: u32) -> Self {
        Self { coins: coins * Self::SHOPS, ..till(0) }
    }

    #[critical_process(id = "recv_async_none", version = "1.0.0", sla = "10s")]
    async fn async_none(coins: u32) -> Option<Self> {
        Some(Till::none(coins))
    }
}

#[tokio::test(start_paused = true)]
async fn async_methods_take_every_receiver() {
    assert_eq!(ran("recv_async_value", Success, till(1).async_value()).await, "till");
    assert_eq!(ran("recv_async_mut_value", Success, till(1).async_mut_value()).await, till(2));
    assert_eq!(ran("recv_async_ref", Success, till(1).async_ref()).await, "till");
    let mut one = till(1);
    *ran("recv_async_ref_mut", Success, one.async_ref_mut()).await += 10;
    assert_eq!(one, till(12));
    let name = "till".to_owned();
    assert_eq!(ran("recv_async_named_ref", Success, one.async_named_ref(&name)).await, Ok("till"));
    assert_eq!(ran("recv_async_named_ref", Failure, one.async_named_ref("no")).await, Err(2));
    assert_eq!(*ran("recv_async_box", Success, Box::new(till(1)).async_box()).await, till(1));
    assert_eq!(ran("recv_async_mut_box", Success, Box::new(till(1)).async_mut_box()).await, 2);
    assert_eq!(ran("recv_async_rc", Success, Rc::new(till(1)).async_rc()).await, 1);
    let shared = Arc::new(till(1));
    assert_eq!(ran("recv_async_arc", Success, shared.clone().async_arc()).await, 2);
    assert!(Arc::ptr_eq(&ran("recv_async_ref_arc", Success, shared.async_ref_arc()).await, &shared));
    assert_eq!(ran("recv_async_pin", Success, pin!(till(1)).async_pin()).await, 2);
    assert_eq!(*ran("recv_async_pin_box", Success, Box::pin(till(1)).async_pin_box()).await, till(1));
    assert_eq!(*ran("recv_async_typed_ref", Success, till(1).async_typed_ref()).await, 1);
    assert_eq!(ran("recv_async_typed_value", Success, till(1).async_typed_value()).await, 3);
    ran("recv_async_unused", Success, Box::new(till(1)).async_unused()).await;
}

#[tokio::test(start_paused = true)]
async fn sync_methods_take_every_receiver() {
    assert_eq!(called("recv_value", Success, || till(1).value()), "till");
    assert_eq!(called("recv_mut_value", Success, || till(1).mut_value()), till(2));
    let mut one = till(1);
    assert_eq!(called("recv_ref", Success, || one.by_ref()), "till");
    *called("recv_ref_mut", Success, || one.by_ref_mut()) += 10;
    let (coins, name) = called("recv_ref_mut_fields", Success, || one.fields());
    *coins += 1;
    name.push('!');
    assert_eq!(called("recv_replace", Success, || one.replace(till(0))).name, "till!");
    assert_eq!(one, till(0));
    assert_eq!(*called("recv_box", Success, || Box::new(till(1)).by_box()), till(1));
    assert_eq!(called("recv_rc", Success, || Rc::new(till(1)).by_rc()), 1);
    assert_eq!(called("recv_arc", Success, || Arc::new(till(1)).by_arc()), 1);
    let shared = Rc::new(till(1));
    assert!(Rc::ptr_eq(&called("recv_ref_rc", Success, || shared.by_ref_rc()), &shared));
    let mut pinned = pin!(till(1));
    assert_eq!(called("recv_pin", Success, || pinned.as_mut().by_pin()), 2);
    *called("recv_pin_borrow", Success, || pinned.as_mut().by_pin_borrow()) += 1;
    assert_eq!(pinned.coins, 3);
    assert_eq!(*called("recv_pin_box", Success, || Box::pin(till(1)).by_pin_box()), till(1));
    assert_eq!(called("recv_none", Success, || Till::none(1)).coins, 3);
}

#[tokio::test(start_paused = true)]
async fn an_associated_function_that_calls_another_is_two_runs() {
    let trial = super::trial::Trial::new();
    assert_eq!(trial.run(Till::async_none(2)).await.unwrap().coins, 6);
    trial.saw(&[("recv_none", Success), ("recv_async_none", Success)]);
}
