//! Generics, const generics, `where`, `impl Trait`, lifetimes, and returns that borrow.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};

use process_runtime::Outcome::{Failure, Success};
use process_runtime::{Verdict, critical_process};

use super::trial::{called, ran};

#[critical_process(id = "gen_async", version = "1.0.0", sla = "10s")]
async fn generic_async<'a, K, V, const N: usize>(keys: [K; N], of: &'a HashMap<K, V>) -> [Option<&'a V>; N]
where
    K: Hash + Eq,
    for<'x> &'x V: PartialEq,
{
    keys.map(|key| of.get(&key))
}

#[critical_process(id = "gen_sync", version = "1.0.0", sla = "10s")]
fn generic<T: Clone + Default, const N: usize>(of: [T; N]) -> Result<Vec<T>, [T; N]>
where
    T: PartialEq,
{
    if of.contains(&T::default()) { Err(of) } else { Ok(of.to_vec()) }
}

#[critical_process(id = "gen_open", version = "1.0.0", sla = "10s", outcome = known)]
async fn open<T>(value: T) -> T {
    value
}

#[critical_process(id = "gen_open_sync", version = "1.0.0", sla = "10s", outcome = known::<T>)]
fn open_sync<T>(value: T) -> T {
    value
}

fn known<T>(_: &T) -> Verdict {
    Verdict::Failure("known")
}

#[critical_process(id = "gen_async_callback", version = "1.0.0", sla = "10s")]
async fn with_an_async_callback<F, T, E>(callback: F) -> Result<T, E>
where
    F: AsyncFnOnce(&str) -> Result<T, E>,
{
    let local = "local".to_owned();
    callback(&local).await
}

#[critical_process(id = "gen_turbofish", version = "1.0.0", sla = "10s")]
async fn turbofish<T>() -> usize {
    size_of::<T>()
}

#[tokio::test(start_paused = true)]
async fn generics_of_every_kind_are_kept() {
    let map = HashMap::from([("a", 1)]);
    assert_eq!(ran("gen_async", Success, generic_async(["a", "b"], &map)).await, [Some(&1), None]);
    assert_eq!(called("gen_sync", Success, || generic([1, 2])), Ok(vec![1, 2]));
    assert_eq!(called("gen_sync", Failure, || generic(["", "a"])), Err(["", "a"]));
    assert_eq!(ran("gen_open", Failure, open(1)).await, 1);
    assert_eq!(called("gen_open_sync", Failure, || open_sync("a")), "a");
    let callback = async |text: &str| text.parse::<u8>();
    assert!(ran("gen_async_callback", Failure, with_an_async_callback(callback)).await.is_err());
    assert_eq!(ran("gen_turbofish", Success, turbofish::<u64>()).await, 8);
}

#[critical_process(id = "impl_argument", version = "1.0.0", sla = "10s")]
async fn impl_argument(of: impl IntoIterator<Item = impl Into<String>>, by: &impl Display) -> String {
    of.into_iter().map(Into::into).collect::<Vec<_>>().join(&by.to_string())
}

#[critical_process(id = "impl_return", version = "1.0.0", sla = "10s")]
async fn impl_return(of: u8) -> impl Display + Debug {
    if of == 0 {
        return 1;
    }
    i64::from(of)
}

#[critical_process(id = "impl_in_result", version = "1.0.0", sla = "10s")]
async fn impl_in_result(of: &str) -> Result<impl Iterator<Item = char> + '_, impl Display> {
    let mut chars = of.chars();
    if chars.next().is_none() { Err("empty") } else { Ok(chars) }
}

#[critical_process(id = "impl_in_result_sync", version = "1.0.0", sla = "10s")]
fn impl_in_result_sync(of: &str) -> Result<impl Iterator<Item = char> + '_, String> {
    let mut chars = of.chars();
    chars.next().ok_or("empty")?;
    Ok(chars.rev())
}

#[critical_process(id = "impl_iterator", version = "1.0.0", sla = "10s")]
fn impl_iterator<'a>(of: &'a [u8], mut limit: u8) -> impl Iterator<Item = &'a u8> + 'a {
    limit += 1;
    of.iter().filter(move |value| **value < limit)
}

#[critical_process(id = "impl_collect", version = "1.0.0", sla = "10s")]
fn impl_that_decides_a_type(of: &[&str]) -> impl ExactSizeIterator<Item = u8> + use<> {
    let parsed = of.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    parsed.into_iter()
}

#[critical_process(id = "impl_dyn_closure", version = "1.0.0", sla = "10s")]
fn boxed_closure(by: &i32) -> Box<dyn Fn(&i32) -> i32 + '_> {
    Box::new(move |value| *value + by)
}

#[critical_process(id = "impl_tuple", version = "1.0.0", sla = "10s")]
fn impl_in_a_tuple(of: u8) -> (impl Into<u64>, Vec<impl Debug>, [impl Copy; 1]) {
    (of, vec![of], [of])
}

#[tokio::test(start_paused = true)]
async fn impl_trait_works_in_arguments_and_returns() {
    assert_eq!(ran("impl_argument", Success, impl_argument(["a", "b"], &'-')).await, "a-b");
    assert_eq!(ran("impl_return", Success, impl_return(0)).await.to_string(), "1");
    let rest = ran("impl_in_result", Success, impl_in_result("abc")).await;
    assert_eq!(rest.ok().unwrap().collect::<String>(), "bc");
    let empty = ran("impl_in_result", Failure, impl_in_result("")).await;
    assert_eq!(empty.err().unwrap().to_string(), "empty");
    let rest = called("impl_in_result_sync", Success, || impl_in_result_sync("abc"));
    assert_eq!(rest.unwrap().collect::<String>(), "cb");
    assert!(called("impl_in_result_sync", Failure, || impl_in_result_sync("")).is_err());
    assert_eq!(called("impl_iterator", Success, || impl_iterator(&[1, 9, 2], 2)).count(), 2);
    let tuple = called("impl_tuple", Success, || impl_in_a_tuple(1));
    assert_eq!(tuple.0.into(), 1_u64);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_of_an_opaque_return_still_decides_types_in_the_body() {
    let parsed = called("impl_collect", Success, || impl_that_decides_a_type(&["1", "2"]));
    assert_eq!(parsed.collect::<Vec<u8>>(), [1, 2]);
    assert_eq!(called("impl_dyn_closure", Success, || boxed_closure(&1))(&2), 3);
}

struct Book<'b> {
    title: &'b str,
    notes: Vec<String>,
    mark: RefCell<usize>,
}

impl<'b> Book<'b> {
    #[critical_process(id = "borrow_title", version = "1.0.0", sla = "10s")]
    async fn title(&self) -> &'b str {
        self.title
    }

    #[critical_process(id = "borrow_longer", version = "1.0.0", sla = "10s")]
    fn longer<'a>(&self, other: &'a str) -> &'a str
    where
        'b: 'a,
    {
        if other.len() > self.title.len() { other } else { self.title }
    }

    #[critical_process(id = "borrow_note", version = "1.0.0", sla = "10s")]
    fn note(&mut self, at: usize) -> Option<&mut String> {
        self.notes.get_mut(at)
    }

    #[critical_process(id = "borrow_note_or_add", version = "1.0.0", sla = "10s")]
    fn note_or_add(&mut self, at: usize) -> Result<&mut String, &mut Vec<String>> {
        if at >= self.notes.len() {
            return Err(&mut self.notes);
        }
        Ok(&mut self.notes[at])
    }

    #[critical_process(id = "borrow_mark", version = "1.0.0", sla = "10s")]
    async fn mark(&self) -> Ref<'_, usize> {
        self.mark.borrow()
    }

    #[critical_process(id = "borrow_all", version = "1.0.0", sla = "10s")]
    fn all<'a>(&'a self) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        Box::new(std::iter::once(self.title).chain(self.notes.iter().map(String::as_str)))
    }

    #[critical_process(id = "borrow_cow", version = "1.0.0", sla = "10s")]
    async fn loud(&self, loud: bool) -> Cow<'b, str> {
        if loud { Cow::Owned(self.title.to_uppercase()) } else { Cow::Borrowed(self.title) }
    }

    #[critical_process(id = "borrow_new", version = "1.0.0", sla = "10s")]
    fn new(title: &'b str) -> Book<'b> {
        Self { title, notes: vec![String::new()], mark: RefCell::new(3) }
    }
}

#[critical_process(id = "borrow_guard", version = "1.0.0", sla = "10s")]
fn guard<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap()
}

#[critical_process(id = "borrow_slices", version = "1.0.0", sla = "10s")]
async fn halves(of: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    of.split_at_mut(1)
}

#[critical_process(id = "borrow_anonymous", version = "1.0.0", sla = "10s")]
async fn anonymous(_first: &str, second: &Vec<&'static str>) -> Option<&'static str> {
    second.first().copied()
}

#[critical_process(id = "borrow_higher_ranked", version = "1.0.0", sla = "10s")]
async fn higher_ranked<'a>(
    of: &'a str,
    by: &dyn for<'x> Fn(&'x str) -> &'x str,
) -> (&'a str, fn(&str) -> &str) {
    fn same(text: &str) -> &str {
        text
    }
    (by(of), same)
}

#[tokio::test(start_paused = true)]
async fn returns_may_borrow_from_what_came_in() {
    let mutex = Mutex::new(1);
    let mut book = called("borrow_new", Success, || Book::new("dune"));
    assert_eq!(ran("borrow_title", Success, book.title()).await, "dune");
    assert_eq!(called("borrow_longer", Success, || book.longer("emma")), "dune");
    called("borrow_note", Success, || book.note(0)).unwrap().push('x');
    called("borrow_note_or_add", Failure, || book.note_or_add(1)).unwrap_err().push("y".to_owned());
    assert_eq!(called("borrow_note_or_add", Success, || book.note_or_add(1)), Ok(&mut "y".to_owned()));
    assert_eq!(*ran("borrow_mark", Success, book.mark()).await, 3);
    assert_eq!(called("borrow_all", Success, || book.all()).collect::<Vec<_>>(), ["dune", "x", "y"]);
    assert_eq!(ran("borrow_cow", Success, book.loud(true)).await, "DUNE");
    assert_eq!(*called("borrow_guard", Success, || guard(&mutex)), 1);
    let mut bytes = [1, 2];
    let (left, right) = ran("borrow_slices", Success, halves(&mut bytes)).await;
    std::mem::swap(&mut left[0], &mut right[0]);
    assert_eq!(bytes, [2, 1]);
    assert_eq!(ran("borrow_anonymous", Success, anonymous("", &vec!["a"])).await, Some("a"));
    let (trimmed, same) = ran("borrow_higher_ranked", Success, higher_ranked(" a", &|t| t.trim())).await;
    assert_eq!((trimmed, same("b")), ("a", "b"));
}

struct Matrix<T, const R: usize, const C: usize = 2>([[T; C]; R]);

impl<T: Copy + Default + std::ops::AddAssign, const R: usize, const C: usize> Matrix<T, R, C> {
    const CELLS: usize = R * C;

    #[critical_process(id = "gen_impl_const", version = "1.0.0", sla = "10s")]
    fn sum(&self) -> (T, usize) {
        let mut sum = T::default();
        self.0.iter().flatten().for_each(|cell| sum += *cell);
        (sum, Self::CELLS)
    }

    #[critical_process(id = "gen_impl_transposed", version = "1.0.0", sla = "10s")]
    async fn transposed(&self) -> Matrix<T, C, R> {
        Matrix(std::array::from_fn(|column| std::array::from_fn(|row| self.0[row][column])))
    }

    #[critical_process(id = "gen_impl_row", version = "1.0.0", sla = "10s")]
    fn row<const AT: usize>(&mut self) -> Option<&mut [T; C]> {
        self.0.get_mut(AT)
    }
}

#[tokio::test(start_paused = true)]
async fn const_generics_of_an_impl_and_of_a_method_are_kept() {
    let mut matrix = Matrix([[1, 2], [3, 4], [5, 6]]);
    assert_eq!(called("gen_impl_const", Success, || matrix.sum()), (21, 6));
    assert_eq!(ran("gen_impl_transposed", Success, matrix.transposed()).await.0, [[1, 3, 5], [2, 4, 6]]);
    assert_eq!(called("gen_impl_row", Success, || matrix.row::<3>()), None);
}

#[critical_process(id = "gen_one_account", version = "1.0.0", sla = "10s")]
fn size_of_value<T>(of: &T) -> usize {
    size_of_val(of)
}

#[tokio::test(start_paused = true)]
async fn every_instance_of_a_generic_function_is_the_same_process() {
    let trial = super::trial::Trial::new();
    trial.call(|| size_of_value(&1_u8) + size_of_value(&"a") + size_of_value(&[0_u64; 4]));
    trial.saw(&[("gen_one_account", Success); 3]);
}

#[critical_process(id = "gen_retry", version = "1.0.0", sla = "10s")]
async fn retry<T, E: std::error::Error, Fut: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut(u8) -> Fut,
) -> Result<T, E> {
    let mut tries = 0;
    loop {
        match attempt(tries).await {
            Err(_) if tries < 2 => tries += 1,
            done => return done,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_generic_type_needs_no_more_bounds_than_it_has() {
    let attempt = |tries| async move { if tries == 2 { Ok(tries) } else { Err(std::fmt::Error) } };
    assert_eq!(ran("gen_retry", Success, retry(attempt)).await, Ok(2));
    let attempt = |_| async { Err::<u8, _>(std::fmt::Error) };
    assert_eq!(ran("gen_retry", Failure, retry(attempt)).await, Err(std::fmt::Error));
}

mod opaque_closures {
    use super::*;

    #[critical_process(id = "impl_closure", version = "1.0.0", sla = "10s")]
    fn impl_closure(by: i32) -> impl Fn(&i32) -> i32 {
        move |value| *value + by
    }

    #[critical_process(id = "impl_closure_borrowed", version = "1.0.0", sla = "10s")]
    fn impl_closure_that_borrows() -> impl Fn(&str) -> &str {
        |text| text.trim()
    }

    #[critical_process(id = "impl_closure_async", version = "1.0.0", sla = "10s")]
    async fn impl_closure_async(by: i32) -> impl Fn(&i32) -> i32 {
        move |value: &i32| *value + by
    }

    struct Scale<T>(T);

    impl<T: Copy + std::ops::Mul<Output = T>> Scale<T> {
        #[critical_process(id = "impl_closure_generic", version = "1.0.0", sla = "10s")]
        fn impl_closure_of_a_parameter(&self) -> impl Fn(&T) -> T + use<'_, T> {
            |value: &T| *value * self.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_is_returned_opaquely_takes_its_types_from_the_signature() {
        assert_eq!(called("impl_closure", Success, || impl_closure(1))(&2), 3);
        assert_eq!(called("impl_closure_borrowed", Success, impl_closure_that_borrows)(" a "), "a");
        let scale = Scale(2);
        assert_eq!(called("impl_closure_generic", Success, || scale.impl_closure_of_a_parameter())(&3), 6);
        assert_eq!(ran("impl_closure_async", Success, impl_closure_async(1)).await(&2), 3);
    }
}
