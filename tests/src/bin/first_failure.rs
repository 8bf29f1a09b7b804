//! A service whose process fails once for each line of its standard input. It prints a line when its telemetry has
//! started, and ends when its standard input ends.

use std::io::BufRead;

use process_runtime::critical_process;
use process_runtime::telemetry::TelemetryBuilder;

#[critical_process(id = "first_failure", version = "1.0.0", sla = "10s")]
fn fail() -> Result<(), &'static str> {
    Err("on demand")
}

fn main() {
    let _telemetry = TelemetryBuilder::new().service("first_failure", "1.0.0").init();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        if line.is_ok() {
            let _ = fail();
        }
    }
}
