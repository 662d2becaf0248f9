//! Where WebSocket frames begin and end in a byte stream (RFC 6455 section 5.2). Only headers are read.

/// Follows one direction of a WebSocket.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
    closed: bool,
}

/// The Close frame a server sends when it goes away: status 1001, no reason, not masked.
pub const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x08;
const MASKED: u8 = 0x80;

impl Frames {
    /// Takes in all of `bytes`.
    pub fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = &bytes[taken..];
        }
    }

    /// Between two frames, where a frame may be inserted.
    pub fn at_boundary(&self) -> bool {
        self.have == 0
    }

    /// A Close frame has begun: nothing may follow it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many of `bytes` belong to the frame under way; `None` if it does not end within them.
    pub fn ends_after(&self, bytes: &[u8]) -> Option<usize> {
        let mut ahead = self.clone();
        if ahead.at_boundary() {
            return Some(0);
        }
        let taken = ahead.step(bytes);
        ahead.at_boundary().then_some(taken)
    }

    /// Takes in bytes up to the end of the current frame at most, and says how many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.have < self.header_length() {
            let Some(byte) = bytes.get(taken) else { return taken };
            self.header[self.have] = *byte;
            self.have += 1;
            taken += 1;
            if self.have == 1 && byte & OPCODE == CLOSE {
                self.closed = true;
            }
            if self.have == self.header_length() {
                self.payload_left = self.payload_length();
            }
        }
        let payload = self.payload_left.min((bytes.len() - taken) as u64);
        self.payload_left -= payload;
        if self.payload_left == 0 {
            self.have = 0;
        }
        taken + payload as usize
    }

    fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let extended = match self.header[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if self.header[1] & MASKED == 0 { 0 } else { 4 }
    }

    fn payload_length(&self) -> u64 {
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        match self.header[1] & !MASKED {
            126 => big_endian(&self.header[2..4]),
            127 => big_endian(&self.header[2..10]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, masked: bool, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        let mask = if masked { MASKED } else { 0 };
        match payload {
            0..126 => bytes.push(mask | payload as u8),
            126..0x1_0000 => {
                bytes.push(mask | 126);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0x88, payload + if masked { 4 } else { 0 }));
        bytes
    }

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        let frames: Vec<Vec<u8>> =
            [(1, false, 0), (2, false, 5), (9, true, 0), (1, true, 125), (2, false, 126), (1, true, 70_000), (8, false, 2)]
                .map(|(opcode, masked, payload)| frame(opcode, masked, payload))
                .to_vec();
        let bytes: Vec<u8> = frames.concat();
        let ends: Vec<usize> = frames
            .iter()
            .scan(0, |at, frame| {
                *at += frame.len();
                Some(*at)
            })
            .collect();
        for cut in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut follow = Frames::default();
            let mut at = 0;
            for chunk in bytes.chunks(cut) {
                let next = ends.iter().find(|end| **end > at).copied().expect("inside a frame");
                let expected =
                    if at == 0 || ends.contains(&at) { Some(0) } else { Some(next - at).filter(|n| *n <= chunk.len()) };
                assert_eq!(follow.ends_after(chunk), expected, "at {at} in chunks of {cut}");
                follow.advance(chunk);
                at += chunk.len();
                assert_eq!(follow.at_boundary(), ends.contains(&at), "after {at} in chunks of {cut}");
                assert_eq!(follow.is_closed(), at > ends[ends.len() - 2], "after {at} in chunks of {cut}");
            }
        }
    }

    #[test]
    fn our_close_frame_is_one_frame() {
        let mut follow = Frames::default();
        follow.advance(&GOING_AWAY);
        assert!(follow.is_closed() && follow.at_boundary());
        assert_eq!(u16::from_be_bytes([GOING_AWAY[2], GOING_AWAY[3]]), 1001);
    }
}
