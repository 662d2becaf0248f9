//! A set of nodes, one bit each.

#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub fn none(of: usize) -> Self {
        Self(vec![0; of.div_ceil(64)])
    }

    pub fn has(&self, at: u32) -> bool {
        self.0[at as usize / 64] >> (at % 64) & 1 == 1
    }

    pub fn set(&mut self, at: u32, on: bool) {
        let bit = 1 << (at % 64);
        let word = &mut self.0[at as usize / 64];
        if on { *word |= bit } else { *word &= !bit }
    }
}
