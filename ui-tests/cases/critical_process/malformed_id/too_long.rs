use process_runtime::critical_process;

#[critical_process(id = "a_process_whose_id_says_so_much_about_it_that_nobody_will_ever_read_it", version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
