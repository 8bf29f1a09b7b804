//! The ways in which a run ends on demand, and the errors that it returns. The fixtures of several tests share them.

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    /// With a value.
    Succeed,
    /// With a value that counts as degraded.
    FallBack,
    /// With [`Trouble::Yours`].
    Reject,
    /// With [`Trouble::Ours`].
    Fail,
    /// With a panic.
    Panic,
    /// The run never ends. Only a future can do this.
    Hang,
}

impl How {
    /// Returns whether the value counts as degraded, for the key `degraded`.
    pub fn is_fallback(&self) -> bool {
        *self == How::FallBack
    }

    /// Ends at once.
    ///
    /// # Panics
    /// With [`How::Panic`]. Also with [`How::Hang`], because a plain function cannot hang.
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
    /// With [`How::Panic`].
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
    /// A mistake of the caller, for the key `rejects`.
    #[error("yours")]
    Yours,
    /// A mistake of the service.
    #[error("ours")]
    Ours,
}

impl Trouble {
    /// Returns the `error.type`, for the key `error_type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Trouble::Yours => "yours",
            Trouble::Ours => "ours",
        }
    }
}
