//! What a test needs from the machine it runs on: programs that may be missing, programs that it starts, and figures
//! about memory. All test packages of the workspace share this crate, so it has no dependencies. Code that knows about
//! processes, telemetry formats or the example belongs elsewhere.

pub mod memory;
pub mod missing;
pub mod program;
