//! What an archive as a whole must keep to: bounds, no name twice, nothing behind a link.

use std::collections::HashMap;

use super::path::check_symlink;
use super::{Bounds, Member, Node};
use crate::refusal::Refusal;

/// Bytes of all names together: bounds the memory an archive of nothing but long names can take.
const ALL_NAMES_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Folder,
    File,
    Link,
}

#[derive(Debug)]
pub(crate) struct Rules {
    bounds: Bounds,
    bytes: u64,
    names: usize,
    members: u64,
    seen: HashMap<String, Seen>,
}

impl Rules {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, bytes: 0, names: 0, members: 0, seen: HashMap::new() }
    }

    /// Counts a member that may carry no name of its own, such as a header of another one.
    pub(crate) fn count(&mut self) -> Result<(), Refusal> {
        self.members += 1;
        if self.members > self.bounds.entries { Err(self.bounds.too_many()) } else { Ok(()) }
    }

    /// Takes a member into the archive, or says which rule it breaks.
    pub(crate) fn admit(&mut self, member: &Member) -> Result<(), Refusal> {
        self.folders_above(&member.path)?;
        match &member.node {
            Node::Folder => self.insert(&member.path, Seen::Folder),
            Node::File { size, .. } => {
                self.bytes =
                    self.bytes.checked_add(*size).filter(|all| *all <= self.bounds.bytes).ok_or(self.bounds.too_big())?;
                self.insert(&member.path, Seen::File)
            }
            Node::Symlink { target } => {
                check_symlink(&member.path, target)?;
                self.insert(&member.path, Seen::Link)
            }
            Node::Hardlink { to } => {
                if self.seen.get(to.as_str()) != Some(&Seen::File) {
                    let why =
                        format!("the archive has a hard link to what is not a file in it (\"{}\" -> \"{to}\")", member.path);
                    return Err(Refusal::new(why, "replace the link by the file it means"));
                }
                self.insert(&member.path, Seen::File)
            }
        }
    }

    fn folders_above(&mut self, path: &str) -> Result<(), Refusal> {
        for (at, _) in path.match_indices('/') {
            match self.seen.get(&path[..at]) {
                Some(Seen::Folder) => {}
                Some(Seen::File | Seen::Link) => {
                    let why = format!("the archive has \"{path}\" behind \"{}\", which is no folder", &path[..at]);
                    return Err(Refusal::new(why, "make the archive again without links to folders that hold further files"));
                }
                None => self.insert(&path[..at], Seen::Folder)?,
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, what: Seen) -> Result<(), Refusal> {
        if let Some(before) = self.seen.get(path) {
            if *before == Seen::Folder && what == Seen::Folder {
                return Ok(());
            }
            return Err(Refusal::new(format!("the archive has \"{path}\" twice"), "make the archive again with each file once"));
        }
        self.names += path.len();
        if self.seen.len() as u64 >= self.bounds.entries || self.names > ALL_NAMES_BYTES {
            return Err(self.bounds.too_many());
        }
        self.seen.insert(path.to_owned(), what);
        Ok(())
    }
}
