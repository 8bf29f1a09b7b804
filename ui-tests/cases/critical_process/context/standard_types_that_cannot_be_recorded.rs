use std::time::Duration;

use process_runtime::critical_process;

#[critical_process(id = "wait", version = "1.0.0", sla = "2s", context(d, half = d / 2, first = %list[0]))]
async fn wait(d: Duration, list: Vec<Vec<u8>>) -> u32 {
    d.subsec_millis() + list.len() as u32
}

fn main() {}
