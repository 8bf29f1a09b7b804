//! Starts programs for a test, and kills them when the test ends.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// Returns a command without the telemetry settings of this environment: `OTEL_*`, `SENTRY_*`, `RUST_LOG` and proxies.
pub fn unconfigured(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    unconfigure(&mut command);
    command
}

/// Removes the telemetry settings of this environment from a command.
pub fn unconfigure(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("SENTRY_") || text == "RUST_LOG" || is_proxy(&text) {
            command.env_remove(name);
        }
    }
}

fn is_proxy(name: &str) -> bool {
    name.to_ascii_uppercase().ends_with("_PROXY")
}

/// A running program. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> Running {
        Running(command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}")))
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a port of the loopback address that was free a moment ago.
///
/// # Panics
/// If no port is free.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}
