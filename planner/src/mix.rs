//! A hash for looking up and for comparing, not against forgers.

use std::hash::Hasher;

/// Mixes eight bytes at a time by a wide multiplication, whose halves are folded (as in wyhash): the same in every run,
/// unlike the standard hasher, and quick on names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix(u64);

/// Odd, with as many ones as zeros (the golden ratio's fraction).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Mix {
    fn default() -> Self {
        Self(FACTOR)
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.write_u64(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = words.remainder().iter().fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
        self.write_u64(rest);
    }

    /// The end of a text, which [`Self::write`] has counted in.
    fn write_u8(&mut self, _: u8) {}

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
