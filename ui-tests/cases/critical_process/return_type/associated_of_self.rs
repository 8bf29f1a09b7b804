use process_runtime::critical_process;

trait Job {
    type Output: Default;

    #[critical_process(id = "run_job", version = "1.0.0", sla = "2s")]
    fn run(&self) -> Self::Output {
        Self::Output::default()
    }
}

fn main() {}
