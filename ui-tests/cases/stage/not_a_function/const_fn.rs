use process_runtime::stage;

#[stage(id = "greet")]
const fn greet() -> u32 {
    1
}

fn main() {}
