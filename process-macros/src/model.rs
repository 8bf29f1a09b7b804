//! The result of `analyse` and input of `expand`: everything is valid, and no decision is left that can fail.

use proc_macro2::{Ident, TokenStream};
use process_model::Declaration;
use syn::{Attribute, Expr, ExprPath, Path, Type};

use crate::context::Sigil;
use crate::pattern::Arm;
use crate::returns::Returns;
use crate::tail::Tail;

/// The plan for the expansion of a function.
pub(crate) enum Model {
    Instrumented(Box<Instrumented>),
    Contract(Box<Contract>),
    Check(Box<Check>),
}

/// A function whose calls are runs.
pub(crate) struct Instrumented {
    pub(crate) declaration: Declaration,
    /// The function's name within its module, as `Type::method` where that was said.
    pub(crate) handler: String,
    /// The path of the runtime crate.
    pub(crate) runtime: Path,
    /// The path in `crate = …`, which the expansion imports as `runtime`, so that a wrong path is reported once.
    pub(crate) import: Option<Path>,
    /// Context taken at entry.
    pub(crate) entries: Vec<Put>,
    /// Context declared for `record!`.
    pub(crate) later: Vec<Ident>,
    pub(crate) judging: Judging,
    pub(crate) wrapper: Wrapper,
}

/// A test that proves a case of a process.
pub(crate) struct Contract {
    pub(crate) declaration: Declaration,
    /// The path of the runtime crate, as in [`Instrumented`].
    pub(crate) runtime: Path,
    pub(crate) import: Option<Path>,
    pub(crate) returns: Returns,
}

/// A function that checks a process or a dependency.
pub(crate) struct Check {
    pub(crate) declaration: Declaration,
    /// The path of the runtime crate, as in [`Instrumented`].
    pub(crate) runtime: Path,
    pub(crate) import: Option<Path>,
    pub(crate) arguments: Vec<Argument>,
}

/// An argument that is a value of the application's state.
pub(crate) struct Argument {
    pub(crate) ty: Type,
    /// Its `#[cfg]`s.
    pub(crate) cfgs: Vec<Attribute>,
}

/// One value of context that is taken at entry.
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) value: Expr,
    pub(crate) sigil: Sigil,
    /// The `#[cfg]`s of the argument that it is taken from.
    pub(crate) cfgs: Vec<Attribute>,
}

/// How a return value becomes an outcome.
pub(crate) enum Judging {
    /// `outcome` decides alone.
    Outcome { verdict: ExprPath, error_type: Option<ExprPath> },
    /// The return type decides, with exceptions.
    Rules(Rules),
}

/// The exceptions to the decision by type.
pub(crate) struct Rules {
    pub(crate) rejects: Vec<Arm>,
    pub(crate) fails: Vec<Arm>,
    pub(crate) degraded: Option<ExprPath>,
    pub(crate) error_type: Option<ExprPath>,
}

impl Rules {
    pub(crate) fn is_empty(&self) -> bool {
        self.rejects.is_empty()
            && self.fails.is_empty()
            && self.degraded.is_none()
            && self.error_type.is_none()
    }
}

/// How the run is wrapped around the body.
pub(crate) enum Wrapper {
    /// `async fn`: the run is its future.
    Async { body: TokenStream, returns: Returns },
    /// A plain function: the run is its call.
    Sync { body: TokenStream, returns: Returns },
    /// A function that may return a boxed future: the type decides whether the run is the call or the future.
    ByType { body: TokenStream, returns: Type },
    /// A function that ends in an async block: the run is that block.
    Tail { tail: Tail, output: Returns },
    /// A function that returns another `impl Future` than an async block: the run is that future.
    Future { body: TokenStream, output: Returns },
}
