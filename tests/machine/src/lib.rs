//! What a test needs from the machine on which it runs: programs that may be missing, programs that the test starts,
//! and figures about memory. All test packages of the workspace share this crate, so it has no dependencies. Code
//! about processes, telemetry formats or the example belongs elsewhere.

pub mod latency;
pub mod memory;
pub mod missing;
pub mod program;
