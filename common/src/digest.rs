//! Content digests, and what exactly an image is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::{InvalidName, text_newtype};
use std::fmt;

text_newtype!(
    /// `sha256:` and 64 lowercase hexadecimal digits.
    Digest,
    |text| {
        let ok = text
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        if ok { Ok(()) } else { Err(InvalidName(format!("\"{text}\" is not a digest (sha256:...)"))) }
    }
);

impl Digest {
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(hash)).into())
    }

    /// The first twelve digits, as Docker prints them.
    pub fn short(&self) -> &str {
        &self.0[7..19]
    }
}

/// An image, by content. Instances run it by digest; the tag only names the build for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// The digest of the image's configuration, which a local Docker calls its id.
    pub config: Digest,
    /// The digest of its manifest, once some registry holds it.
    pub manifest: Option<Digest>,
    /// What people call it: `default/shop:b12`, or the reference they gave.
    pub name: String,
    /// Bytes on disk, shared base layers included; 0 where nobody measured.
    pub bytes: u64,
}
