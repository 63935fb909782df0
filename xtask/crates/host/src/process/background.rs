//! A process beside this one.

/// A process that ends when this value does.
#[derive(Debug)]
pub struct Background(pub(super) duct::Handle);

impl Background {
    /// Whether it has ended by itself.
    pub fn is_over(&self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Of one that has ended there is nothing to kill.
        self.0.kill().ok();
    }
}
