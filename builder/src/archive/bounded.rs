//! A reader that ends with a refusal.

use std::io::{self, Read};

use tokio_util::sync::CancellationToken;

use crate::refusal::Refusal;

/// Passes at most so many bytes, then fails with its refusal; fails at once when its build is stopped.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    refusal: Refusal,
    stop: CancellationToken,
}

impl<R> Bounded<R> {
    pub(crate) fn new(inner: R, bytes: u64, refusal: Refusal, stop: CancellationToken) -> Self {
        Self { inner, left: bytes, refusal, stop }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(Refusal::new("the build was stopped", "deploy again").into());
        }
        let got = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| io::Error::from(self.refusal.clone()))?;
        Ok(got)
    }
}
