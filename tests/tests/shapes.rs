//! The attribute on every kind of function. The caller receives the value that the body returned, and the run is
//! counted once, with the right outcome. The fixtures are meant to break expansions.
#![allow(clippy::complexity, clippy::style, reason = "users also write untidy code")]
#![allow(clippy::let_underscore_future, clippy::multiple_bound_locations, reason = "users write these too")]

mod shapes {
    mod arguments;
    mod attributes;
    mod bodies;
    mod drops;
    mod ends;
    mod errors;
    mod fixtures;
    mod futures;
    mod generics;
    mod http;
    mod macros;
    mod names;
    mod outcomes;
    mod receivers;
    mod sendness;
    mod traits;
    mod trial;
}
