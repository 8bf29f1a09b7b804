//! Methods of traits: with default bodies, in impls, async, behind async-trait, and in traits of the standard
//! library.

use std::fmt;
use std::future::Future;
use std::ops::{Add, Deref};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use async_trait::async_trait;
use process_runtime::Outcome::{Degraded, Failure, Rejected, Success};
use process_runtime::{Verdict, critical_process, stage};

use super::trial::{Trial, called, ran};

trait Store {
    type Key;
    type Error: std::error::Error;
    const LIMIT: usize = 2;

    fn key(&self) -> Self::Key;

    #[critical_process(id = "trait_default", version = "1.0.0", sla = "10s")]
    fn fits(&self, size: usize) -> bool {
        size <= Self::LIMIT
    }

    #[critical_process(id = "trait_default_open", version = "1.0.0", sla = "10s", outcome = Self::judge)]
    fn open(&self) -> Self::Key {
        self.key()
    }

    fn judge(_: &Self::Key) -> Verdict {
        Verdict::Degraded
    }

    #[critical_process(id = "trait_default_async", version = "1.0.0", sla = "10s")]
    async fn first(&self, of: &[u8]) -> Option<u8> {
        tokio::task::yield_now().await;
        of.first().copied()
    }

    async fn put(&mut self, value: u8) -> Result<&u8, String>;

    fn load<'a>(&'a self, at: &'a str) -> impl Future<Output = Result<&'a str, usize>> + Send;

    fn each(&self) -> impl Iterator<Item = &u8>;
}

#[derive(Default)]
struct Memory(Vec<u8>);

impl Store for Memory {
    type Key = u8;
    type Error = fmt::Error;

    fn key(&self) -> u8 {
        7
    }

    #[critical_process(id = "trait_impl_async", version = "1.0.0", sla = "10s")]
    async fn put(&mut self, value: u8) -> Result<&u8, String> {
        if self.0.len() == Self::LIMIT {
            return Err("full".to_owned());
        }
        self.0.push(value);
        Ok(&self.0[self.0.len() - 1])
    }

    #[critical_process(id = "trait_impl_future", version = "1.0.0", sla = "10s")]
    fn load<'a>(&'a self, at: &'a str) -> impl Future<Output = Result<&'a str, usize>> + Send {
        let all = self.0.len();
        async move { at.get(..all).ok_or(all) }
    }

    #[critical_process(id = "trait_impl_iterator", version = "1.0.0", sla = "10s")]
    fn each(&self) -> impl Iterator<Item = &u8> {
        self.0.iter()
    }
}

#[tokio::test(start_paused = true)]
async fn default_bodies_and_impls_of_a_trait_are_runs() {
    let mut memory = Memory::default();
    assert!(called("trait_default", Success, || memory.fits(2)));
    assert_eq!(called("trait_default_open", Degraded, || memory.open()), 7);
    assert_eq!(ran("trait_default_async", Success, memory.first(&[9])).await, Some(9));
    assert_eq!(ran("trait_impl_async", Success, memory.put(1)).await, Ok(&1));
    memory.0.push(2);
    assert_eq!(ran("trait_impl_async", Failure, memory.put(3)).await, Err("full".to_owned()));
    assert_eq!(ran("trait_impl_future", Success, memory.load("abc")).await, Ok("ab"));
    assert_eq!(ran("trait_impl_future", Failure, memory.load("a")).await, Err(2));
    assert_eq!(called("trait_impl_iterator", Success, || memory.each()).count(), 2);
}

#[async_trait]
trait Courier: Sync {
    /// Documented, and wrapped by async-trait before the attribute sees it.
    #[critical_process(id = "async_trait_default", version = "1.0.0", sla = "10s")]
    async fn default_body(&self, stops: &[&str]) -> Result<usize, String>
    where
        Self: Sized,
    {
        tokio::task::yield_now().await;
        if stops.is_empty() {
            return Err("nowhere".to_owned());
        }
        Ok(stops.len() + self.speed().await)
    }

    async fn speed(&self) -> usize;
    async fn load(&mut self, crates: Vec<String>) -> &mut Vec<String>;
    async fn consume(self: Box<Self>) -> usize;
    async fn generic<T: fmt::Display + Send + 'static, const N: usize>(&self, of: [T; N]) -> String
    where
        Self: Sized;
    async fn destructured(&self, (a, _): (u8, u8), _: &str, mut c: u8) -> u8;
    async fn nothing(&self);
    async fn free(of: u8) -> Option<u8>
    where
        Self: Sized;
}

struct Van(Vec<String>);

#[async_trait]
impl Courier for Van {
    #[critical_process(id = "async_trait_speed", version = "1.0.0", sla = "10s")]
    async fn speed(&self) -> usize {
        self.0.len()
    }

    #[critical_process(id = "async_trait_load", version = "1.0.0", sla = "10s")]
    async fn load(&mut self, crates: Vec<String>) -> &mut Vec<String> {
        self.0.extend(crates);
        &mut self.0
    }

    #[critical_process(id = "async_trait_consume", version = "1.0.0", sla = "10s")]
    async fn consume(self: Box<Self>) -> usize {
        self.0.len()
    }

    #[critical_process(id = "async_trait_generic", version = "1.0.0", sla = "10s")]
    async fn generic<T: fmt::Display + Send + 'static, const N: usize>(&self, of: [T; N]) -> String {
        of.iter().map(T::to_string).collect()
    }

    #[critical_process(id = "async_trait_destructured", version = "1.0.0", sla = "10s")]
    async fn destructured(&self, (a, _): (u8, u8), _: &str, mut c: u8) -> u8 {
        c += a;
        c
    }

    #[critical_process(id = "async_trait_nothing", version = "1.0.0", sla = "10s")]
    async fn nothing(&self) {}

    #[critical_process(id = "async_trait_free", version = "1.0.0", sla = "10s", fails(None), context(of))]
    #[allow(clippy::unused_async, reason = "a fixture")]
    async fn free(of: u8) -> Option<u8> {
        of.checked_sub(1)
    }
}

#[tokio::test(start_paused = true)]
async fn async_trait_methods_are_runs() {
    let mut van = Van(Vec::new());
    assert_eq!(ran("async_trait_load", Success, van.load(vec!["a".to_owned()])).await.len(), 1);
    assert_eq!(ran("async_trait_generic", Success, van.generic([1, 2])).await, "12");
    assert_eq!(ran("async_trait_destructured", Success, van.destructured((1, 2), "", 3)).await, 4);
    ran("async_trait_nothing", Success, van.nothing()).await;
    let boxed: Box<dyn Courier> = Box::new(Van(Vec::new()));
    assert_eq!(ran("async_trait_consume", Success, boxed.consume()).await, 0);
    assert_eq!(ran("async_trait_free", Failure, Van::free(0)).await, None);
    assert_eq!(ran("async_trait_free", Success, Van::free(1)).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_async_trait_default_body_judges_its_early_return_and_encloses_what_it_calls() {
    let (trial, van) = (Trial::new(), Van(Vec::new()));
    assert_eq!(trial.run(van.default_body(&[])).await, Err("nowhere".to_owned()));
    trial.saw(&[("async_trait_default", Failure)]);
    assert_eq!(trial.run(van.default_body(&["a"])).await, Ok(1));
    trial.saw(&[("async_trait_speed", Success), ("async_trait_default", Success)]);
}

#[tokio::test(start_paused = true)]
async fn an_async_trait_future_that_was_never_polled_is_not_a_run() {
    let trial = Trial::new();
    trial.call(|| drop(Van(Vec::new()).speed()));
    trial.saw(&[]);
}

#[async_trait(?Send)]
trait Local {
    #[stage(id = "async_trait_local_stage")]
    async fn shared(&self, of: std::rc::Rc<u8>) -> u8 {
        tokio::task::yield_now().await;
        *of
    }

    async fn around(&self, of: std::rc::Rc<u8>) -> u8;
}

struct Here;

#[async_trait(?Send)]
impl Local for Here {
    #[critical_process(id = "async_trait_local", version = "1.0.0", sla = "10s")]
    async fn around(&self, of: std::rc::Rc<u8>) -> u8 {
        self.shared(of.clone()).await + *of
    }
}

#[tokio::test(start_paused = true)]
async fn async_trait_methods_that_stay_on_their_thread_are_runs() {
    let trial = Trial::new();
    let here: &dyn Local = &Here;
    assert_eq!(trial.run(here.around(std::rc::Rc::new(2))).await, 4);
    trial.saw(&[("async_trait_local.async_trait_local_stage", Success), ("async_trait_local", Success)]);
}

#[async_trait]
trait Written {
    async fn by_hand(&self, of: &u8) -> Result<u8, String>;
    async fn boxed(&self, of: &u8) -> u8;
}

#[async_trait]
impl<T: Sync + Into<u8> + Copy> Written for T {
    #[critical_process(id = "async_trait_blanket", version = "1.0.0", sla = "10s")]
    async fn by_hand(&self, of: &u8) -> Result<u8, String> {
        let own: u8 = (*self).into();
        let sum = own.checked_add(*of).ok_or("overflow")?;
        Ok(sum)
    }

    #[critical_process(id = "async_trait_macro_tail", version = "1.0.0", sla = "10s")]
    async fn boxed(&self, of: &u8) -> u8 {
        let _ = self;
        macro_rules! of {
            () => {
                *of
            };
        }
        of!()
    }
}

#[tokio::test(start_paused = true)]
async fn a_blanket_async_trait_impl_converts_its_errors() {
    assert_eq!(ran("async_trait_blanket", Success, 1_u8.by_hand(&2)).await, Ok(3));
    assert_eq!(ran("async_trait_blanket", Failure, true.by_hand(&255)).await, Err("overflow".to_owned()));
    assert_eq!(ran("async_trait_macro_tail", Success, 1_u8.boxed(&2)).await, 2);
}

#[derive(Debug, PartialEq)]
struct Money(u32);

#[derive(Debug, PartialEq, thiserror::Error)]
enum NoMoney {
    #[error("empty")]
    Empty,
    #[error(transparent)]
    Digits(#[from] std::num::ParseIntError),
}

impl FromStr for Money {
    type Err = NoMoney;

    #[critical_process(id = "std_from_str", version = "1.0.0", sla = "10s", rejects(NoMoney::Empty))]
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(NoMoney::Empty);
        }
        Ok(Money(text.parse()?))
    }
}

impl fmt::Display for Money {
    #[critical_process(id = "std_display", version = "1.0.0", sla = "10s")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return Err(fmt::Error);
        }
        write!(f, "{} €", self.0)
    }
}

impl Add for Money {
    type Output = Self;

    #[critical_process(id = "std_add", version = "1.0.0", sla = "10s", outcome = verdict)]
    fn add(self, other: Self) -> Self::Output {
        Money(self.0 + other.0)
    }
}

fn verdict(money: &Money) -> Verdict {
    if money.0 > 10 { Verdict::Rejected("too_much") } else { Verdict::Success }
}

impl Deref for Money {
    type Target = u32;

    #[critical_process(id = "std_deref", version = "1.0.0", sla = "10s")]
    fn deref(&self) -> &u32 {
        &self.0
    }
}

impl Iterator for Money {
    type Item = u32;

    #[critical_process(id = "std_next", version = "1.0.0", sla = "10s", fails(None))]
    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
}

impl Drop for Money {
    #[critical_process(id = "std_drop", version = "1.0.0", sla = "10s")]
    fn drop(&mut self) {
        self.0 = 0;
    }
}

impl Future for Money {
    type Output = u32;

    #[critical_process(id = "std_poll", version = "1.0.0", sla = "10s", degraded = Poll::is_pending)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0 < 2 {
            self.0 += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_the_standard_traits_are_runs() {
    let trial = Trial::new();
    assert_eq!(trial.call(|| "".parse::<Money>()), Err(NoMoney::Empty));
    assert!(matches!(trial.call(|| "x".parse::<Money>()), Err(NoMoney::Digits(_))));
    let three = trial.call(|| "3".parse::<Money>()).unwrap();
    trial.saw(&[("std_from_str", Rejected), ("std_from_str", Failure), ("std_from_str", Success)]);
    assert_eq!(trial.call(|| three.to_string()), "3 €");
    assert_eq!(trial.call(|| *three), 3);
    trial.saw(&[("std_display", Success), ("std_deref", Success)]);
    trial.call(|| std::mem::forget(three + Money(9)));
    trial.saw(&[("std_drop", Success), ("std_drop", Success), ("std_add", Rejected)]);
}

#[tokio::test(start_paused = true)]
async fn iteration_and_polling_are_a_run_for_each_call() {
    let trial = Trial::new();
    let (mut two, poll) = (Money(1), Money(1));
    trial.call(|| assert_eq!(Iterator::by_ref(&mut two).collect::<Vec<_>>(), [0]));
    trial.saw(&[("std_next", Success), ("std_next", Failure)]);
    assert_eq!(trial.run(async { std::mem::ManuallyDrop::new(poll).deref_mut_pin().await }).await, 2);
    trial.saw(&[("std_poll", Degraded), ("std_poll", Success)]);
}

trait DerefMutPin {
    fn deref_mut_pin(&mut self) -> Pin<&mut Money>;
}

impl DerefMutPin for std::mem::ManuallyDrop<Money> {
    fn deref_mut_pin(&mut self) -> Pin<&mut Money> {
        Pin::new(&mut *self)
    }
}

trait Shape {
    fn area(&self) -> u32;
}

impl dyn Shape + '_ {
    #[critical_process(id = "on_dyn", version = "1.0.0", sla = "10s")]
    fn doubled(&self) -> u32 {
        self.area() * 2
    }

    #[critical_process(id = "on_dyn_async", version = "1.0.0", sla = "10s")]
    async fn doubled_later(&self) -> u32 {
        self.area() * 2
    }
}

impl Shape for [u32] {
    #[critical_process(id = "on_slice", version = "1.0.0", sla = "10s")]
    fn area(&self) -> u32 {
        self.iter().product()
    }
}

impl Shape for &[u32; 2] {
    fn area(&self) -> u32 {
        self[..].area()
    }
}

impl<F: Fn() -> u32> Shape for (F,) {
    #[critical_process(id = "on_tuple", version = "1.0.0", sla = "10s")]
    fn area(&self) -> u32 {
        (self.0)()
    }
}

#[tokio::test(start_paused = true)]
async fn methods_on_types_without_a_name_are_runs() {
    assert_eq!(called("on_slice", Success, || [2, 3][..].area()), 6);
    assert_eq!(called("on_tuple", Success, || (|| 6,).area()), 6);
    let trial = Trial::new();
    let shape: &dyn Shape = &&[2, 3];
    assert_eq!(trial.call(|| shape.doubled()), 12);
    trial.saw(&[("on_slice", Success), ("on_dyn", Success)]);
    assert_eq!(trial.run(shape.doubled_later()).await, 12);
    trial.saw(&[("on_slice", Success), ("on_dyn_async", Success)]);
}

trait Fallible {
    type Error: std::error::Error;

    fn attempt(&self) -> Result<u8, Self::Error>;

    #[critical_process(id = "trait_borrowed_error", version = "1.0.0", sla = "10s")]
    fn attempt_twice(&self) -> Result<u8, Self::Error> {
        self.attempt()?;
        self.attempt()
    }
}

impl Fallible for &str {
    type Error = std::num::ParseIntError;

    fn attempt(&self) -> Result<u8, Self::Error> {
        self.parse()
    }
}

#[tokio::test(start_paused = true)]
async fn an_associated_error_type_needs_no_more_bounds_than_it_has() {
    assert_eq!(called("trait_borrowed_error", Success, || "1".attempt_twice()), Ok(1));
    assert!(called("trait_borrowed_error", Failure, || "x".attempt_twice()).is_err());
}
