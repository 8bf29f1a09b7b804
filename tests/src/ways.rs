//! The ways in which a run ends on demand, and the errors that it returns. The fixtures of several tests share them.

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    /// The run returns a value.
    Succeed,
    /// The run returns a value that counts as degraded.
    FallBack,
    /// The run returns [`Trouble::Yours`].
    Reject,
    /// The run returns [`Trouble::Ours`].
    Fail,
    /// The run panics.
    Panic,
    /// The run never ends. Only a future can do this.
    Hang,
}

impl How {
    /// Returns whether the value counts as degraded. Fixtures name this method in the key `degraded`.
    pub fn is_fallback(&self) -> bool {
        *self == How::FallBack
    }

    /// Ends at once.
    ///
    /// # Panics
    /// For [`How::Panic`]. Also for [`How::Hang`], because a plain function cannot hang.
    pub fn end_now(self) -> Result<How, Trouble> {
        match self {
            How::Succeed | How::FallBack => Ok(self),
            How::Reject => Err(Trouble::Yours),
            How::Fail => Err(Trouble::Ours),
            How::Panic => panic!("on demand"),
            How::Hang => unreachable!("a plain function does not hang"),
        }
    }

    /// Ends at the second poll, or never.
    ///
    /// # Panics
    /// For [`How::Panic`].
    pub async fn end(self) -> Result<How, Trouble> {
        tokio::task::yield_now().await;
        match self {
            How::Hang => std::future::pending().await,
            how => how.end_now(),
        }
    }
}

/// The reason why a run fails.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A mistake of the caller. Fixtures name this variant in the key `rejects`.
    #[error("yours")]
    Yours,
    /// A mistake of the service.
    #[error("ours")]
    Ours,
}

impl Trouble {
    /// Returns the `error.type`. Fixtures name this method in the key `error_type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Trouble::Yours => "yours",
            Trouble::Ours => "ours",
        }
    }
}
