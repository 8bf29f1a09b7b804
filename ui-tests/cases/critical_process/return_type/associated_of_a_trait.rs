use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet<I: IntoIterator<Item = u8>>(names: I) -> <I as IntoIterator>::IntoIter {
    names.into_iter()
}

fn main() {}
