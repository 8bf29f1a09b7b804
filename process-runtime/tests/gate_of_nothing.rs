//! The gate fails in a binary that contains no process, because the crate of the service is then probably not linked.

#[test]
#[should_panic(expected = "no process is linked into this test; link the crate that defines them")]
fn a_gate_without_a_process_is_shut() {
    process_runtime::testing::gate();
}
