//! Which endpoint gets the next request: least requests in flight, ties by chance.

/// One endpoint as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Requests and tunnels in flight, over all cores.
    pub in_flight: u32,
    /// Connecting failed lately. Chosen only where nothing better is left.
    pub ejected: bool,
    /// This request has already failed to connect to it.
    pub tried: bool,
}

/// The order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    ejected: bool,
    in_flight: u32,
}

/// The index of the best endpoint that was not tried; `None` when all were. Ejection only lowers the rank, so the last
/// endpoint is never excluded by it. `random` decides between equals.
pub fn choose(loads: &[Load], random: u64) -> Option<usize> {
    let rank = |load: &Load| Rank { ejected: load.ejected, in_flight: load.in_flight };
    let open = || loads.iter().enumerate().filter(|(_, load)| !load.tried);
    let best = open().map(|(_, load)| rank(load)).min()?;
    let mut equals = open().filter(|(_, load)| rank(load) == best);
    let count = equals.clone().count() as u64;
    equals.nth((random % count) as usize).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn load(in_flight: u32, ejected: bool, tried: bool) -> Load {
        Load { in_flight, ejected, tried }
    }

    #[test]
    fn least_loaded_first_ejected_last_tried_never() {
        let cases: &[(&[Load], Option<usize>)] = &[
            (&[], None),
            (&[load(9, false, false)], Some(0)),
            (&[load(2, false, false), load(1, false, false), load(3, false, false)], Some(1)),
            (&[load(9, false, false), load(0, true, false)], Some(0)),
            (&[load(9, true, false), load(0, false, true)], Some(0)),
            (&[load(0, true, false)], Some(0)),
            (&[load(0, false, true), load(0, true, true)], None),
        ];
        for (loads, expected) in cases {
            for random in [0, 1, u64::MAX] {
                assert_eq!(choose(loads, random), *expected, "{loads:?}");
            }
        }
    }

    #[test]
    fn equals_share_evenly() {
        let loads = [load(1, false, false), load(5, false, false), load(1, false, false), load(1, false, false)];
        let mut hits = [0; 4];
        (0..300).for_each(|random| hits[choose(&loads, random).expect("one is open")] += 1);
        assert_eq!(hits, [100, 0, 100, 100]);
    }
}
