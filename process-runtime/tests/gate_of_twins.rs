//! A gate fails if two processes have the same id, because the matrix can contain only one of the two.

#![allow(dead_code, reason = "the processes are registered and never run")]

use process_runtime::critical_process;
use process_runtime::testing::{contracts, gate};

#[critical_process(id = "twin", version = "1.0.0", sla = "1s", criticality = low)]
fn one() {}

#[critical_process(id = "twin", version = "1.0.0", sla = "1s", criticality = low)]
fn other() {}

#[process_runtime::contract(process = "twin", case = happy)]
#[test]
fn it_is_proven() {
    process_runtime::testing::observe_call(one).run().expect().success();
    assert_eq!(contracts().count(), 1);
}

#[test]
fn a_gate_with_an_id_that_two_have_is_shut() {
    let message = *std::panic::catch_unwind(gate).unwrap_err().downcast::<String>().unwrap();
    assert!(
        message
            .contains("process `twin` is defined more than once; give each definition an id of its own: at "),
        "{message}"
    );
    println!("{message}");
}
