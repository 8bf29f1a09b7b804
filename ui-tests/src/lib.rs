//! Compile-time behaviour of the attributes, as cases in `cases/` that `tests/ui.rs` compiles.
