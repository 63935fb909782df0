//! A process beside this one.

/// A process that is killed when this value is dropped.
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
        // It may have ended already.
        self.0.kill().ok();
    }
}
