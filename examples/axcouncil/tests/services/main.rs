//! The programs as they are run, each a process of its own, judged from the files that they write and from what they send.
#![cfg(unix)] // It stops them by a signal.

mod day;
mod found;
mod monitored;
mod processes;
mod two;
mod wire;
