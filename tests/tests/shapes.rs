//! Every shape that a function can have, under the attribute: the value that comes back is the one that the
//! body returned, and the run is counted once, as what it was. Fixtures are hostile on purpose.
#![allow(clippy::complexity, clippy::style, reason = "what users write, and not only the tidy ones")]
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
