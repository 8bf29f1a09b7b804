//! The programs of the example, each in a separate process. The tests read the files that the programs write, and the
//! data that the programs send.
#![cfg(unix)] // They are stopped by a signal.

mod day;
mod found;
mod monitored;
mod processes;
mod two;
mod wire;
