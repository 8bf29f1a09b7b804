use process_runtime::dependency_check;

#[dependency_check(id = "the memory", timeout = 0, every = "1h1s", cached_for = "5s")]
async unsafe fn answers<T>(self: Box<T>) {}

fn main() {}
