//! What is in an archive: all names, and the content of the few files that tell its kind.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Artifact, Node};
use crate::refusal::unreadable;

/// Bytes kept of a telling file.
const KEPT_BYTES: u64 = 64 * 1024;
/// Bytes of a class file that are searched; compilers write far smaller ones.
const CLASS_BYTES: u64 = 1024 * 1024;
/// Files that tell what an archive is, by the end of their path.
const TELLING: [&str; 5] = ["control", "wsgi.py", "META-INF/MANIFEST.MF", "WEB-INF/web.xml", "main.py"];
/// Folders above a telling file: the archive's own top folder and the one within a telling path.
const TELLING_DEPTH: usize = 2;

/// An archive's content.
#[derive(Debug, Default)]
pub struct Listing {
    pub nodes: BTreeMap<String, Node>,
    /// The beginnings of telling files, by path.
    pub kept: BTreeMap<String, Vec<u8>>,
    /// Which of the two servlet APIs the classes of a web app use.
    pub classes_use: ServletApi,
}

/// Java EE's `javax.servlet` up to version 4, Jakarta EE's `jakarta.servlet` from 5.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ServletApi {
    pub javax: bool,
    pub jakarta: bool,
}

/// Reads the whole archive once and checks all of it.
pub fn list(artifact: &Artifact) -> anyhow::Result<Listing> {
    let mut listing = Listing::default();
    artifact.walk(&mut |member, body| {
        if let Node::File { .. } = member.node {
            listing.look_into(&member.path, body)?;
        }
        listing.nodes.insert(member.path.clone(), member.node.clone());
        Ok(())
    })?;
    Ok(listing)
}

impl Listing {
    /// The entry at `path`, below the folder `strip`.
    pub fn at(&self, strip: Option<&str>, path: &str) -> Option<&Node> {
        self.nodes.get(&full(strip, path))
    }

    pub fn kept_at(&self, strip: Option<&str>, path: &str) -> Option<&[u8]> {
        self.kept.get(&full(strip, path)).map(Vec::as_slice)
    }

    fn look_into(&mut self, path: &str, body: &mut dyn Read) -> anyhow::Result<()> {
        let telling = path.matches('/').count() <= TELLING_DEPTH
            && TELLING.iter().any(|end| path.strip_suffix(end).is_some_and(|above| above.is_empty() || above.ends_with('/')));
        let class = path.ends_with(".class") && path.contains("WEB-INF/classes/");
        if !telling && !class {
            return Ok(());
        }
        let mut text = Vec::new();
        let bytes = if class { CLASS_BYTES } else { KEPT_BYTES };
        body.take(bytes).read_to_end(&mut text).map_err(|error| unreadable("the archive", error))?;
        if class {
            // A class file names the classes it uses in its constant pool, as text.
            self.classes_use.javax |= contains(&text, b"javax/servlet/");
            self.classes_use.jakarta |= contains(&text, b"jakarta/servlet/");
        } else {
            self.kept.insert(path.to_owned(), text);
        }
        Ok(())
    }
}

fn full(strip: Option<&str>, path: &str) -> String {
    strip.map_or_else(|| path.to_owned(), |folder| format!("{folder}/{path}"))
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
