use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use process_runtime::critical_process;

#[derive(Debug)]
struct Id(u32);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug)]
struct Opaque;

#[critical_process(
    id = "note",
    version = "1.0.0",
    sla = "2s",
    context(
        id,
        maybe,
        ?opaque,
        %shown,
        text,
        number,
        cut = truncate(&text, 2),
        whole = hash(&text),
        next = number + 1.0,
        debug = ?opaque,
        local = Rc::new(id.0),
        within = (|| Some(id.0.checked_sub(1)? + 1))(),
        labelled = 'a: { break 'a id.0 },
    )
)]
fn note(id: &Id, maybe: Option<Id>, opaque: Opaque, shown: Id, text: Cow<'_, str>, number: f32) -> f32 {
    drop((maybe, opaque, shown, text));
    number + id.0 as f32
}

fn main() {
    assert_eq!(note(&Id(1), Some(Id(2)), Opaque, Id(3), "four".into(), 5.0), 6.0);
}
