use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets<const N: usize>(names: [String; N]) {
    drop(names);
}

fn main() {}
