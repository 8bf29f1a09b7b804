//! Compile-time behaviour of the attributes, case by case: see `cases/`.
