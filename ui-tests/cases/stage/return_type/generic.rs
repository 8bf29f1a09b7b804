use process_runtime::stage;

#[stage(id = "greet")]
fn greet<T: Default>() -> T {
    T::default()
}

fn main() {}
