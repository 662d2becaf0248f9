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

    /// Those that are in it, in their order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0u32..).step_by(64).zip(self.0.iter().copied());
        words.flat_map(|(first, word)| {
            let rest = |word: &u64| Some(word & (word - 1)).filter(|rest| *rest != 0);
            std::iter::successors(Some(word).filter(|word| *word != 0), rest).map(move |word| first + word.trailing_zeros())
        })
    }
}
