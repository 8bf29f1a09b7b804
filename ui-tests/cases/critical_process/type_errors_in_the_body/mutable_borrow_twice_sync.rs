use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(names: &mut Vec<String>) {
    let first = &names[0];
    names.clear();
    drop(first);
}

fn main() {}
