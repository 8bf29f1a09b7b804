//! The result of `analyse`, which is the input of `expand`. Every value in it is valid, so that no step of `expand`
//! can fail.

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
    /// The function's name within its module, or the path in `handler = "Type::method"`.
    pub(crate) handler: String,
    /// The path that the expansion uses for the runtime crate.
    pub(crate) runtime: Path,
    /// The path in `crate = …`, which the expansion imports under the name in `runtime`. Because of this import,
    /// the compiler reports a wrong path only once. `None` if nothing is imported.
    pub(crate) import: Option<Path>,
    /// The context values that are evaluated before the body runs.
    pub(crate) entries: Vec<Put>,
    /// The context keys that the body records with `record!`.
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

/// An argument of a check, which is a value of the application's state.
pub(crate) struct Argument {
    pub(crate) ty: Type,
    /// The `#[cfg]`s of the argument.
    pub(crate) cfgs: Vec<Attribute>,
}

/// One context value that is evaluated before the body runs.
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) value: Expr,
    pub(crate) sigil: Sigil,
    /// The `#[cfg]`s of the argument that the value is taken from.
    pub(crate) cfgs: Vec<Attribute>,
}

/// How a return value becomes an outcome.
pub(crate) enum Judging {
    /// The function in `outcome` decides.
    Outcome { verdict: ExprPath, error_type: Option<ExprPath> },
    /// The return type decides, and the rules make exceptions.
    Rules(Rules),
}

/// The exceptions that the attribute makes to the decision by return type.
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
    /// A function that may return a boxed future: its return type decides whether the run is the call or the future.
    ByType { body: TokenStream, returns: Type },
    /// A function that ends in an async block: the run is that block.
    Tail { tail: Tail, output: Returns },
    /// A function that returns an `impl Future` and does not end in an async block: the run is the returned future.
    Future { body: TokenStream, output: Returns },
}
