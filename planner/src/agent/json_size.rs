//! How many bytes a text takes as a JSON string, where a message has a bound and its texts come from apps.

/// The bytes of `text` between its quotes, as serde_json writes it: a control character may take six.
pub fn json_size(text: &str) -> usize {
    let size = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0x00..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_is_written() {
        for code in (0..=0x2ff).filter_map(char::from_u32) {
            let text = format!("a{code}");
            assert_eq!(json_size(&text) + 2, serde_json::to_string(&text).expect("encodes").len(), "{code:?}");
        }
    }
}
