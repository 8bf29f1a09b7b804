use process_runtime::stage;

trait Greet {
    #[stage(id = "greet")]
    fn greet(&self) -> String;
}

fn main() {}
