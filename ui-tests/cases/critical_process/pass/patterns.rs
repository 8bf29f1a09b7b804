use std::error::Error;
use std::num::ParseIntError;

use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
    Closed { until: u32 },
}

#[critical_process(
    id = "order",
    version = "1.0.0",
    sla = "2s",
    rejects(
        OrderError::Empty | OrderError::TooLarge(1000..),
        OrderError::Closed { until } if *until < 5,
    )
)]
fn order(size: u32) -> Result<u32, OrderError> {
    match size {
        0 => Err(OrderError::Empty),
        1000.. => Err(OrderError::TooLarge(size)),
        3 => Err(OrderError::Closed { until: 3 }),
        _ => Ok(size),
    }
}

#[critical_process(id = "read", version = "1.0.0", sla = "2s", rejects(as ParseIntError: _))]
fn read(text: &str) -> Result<u32, Box<dyn Error>> {
    Ok(text.parse()?)
}

#[critical_process(id = "find", version = "1.0.0", sla = "2s", fails(None, Some(0)))]
fn find(text: &str) -> Option<usize> {
    text.find('a')
}

fn main() {
    assert!(order(0).is_err() && order(3).is_err() && order(1001).is_err() && order(4).is_ok());
    assert!(read("x").is_err());
    assert_eq!(find("a"), Some(0));
}
