//! A folder as one archive. The same files give the same bytes, so a server that has them is not sent them again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header, HeaderMode};
use tempfile::NamedTempFile;

use crate::user::failure::{Exit, Failure};
use crate::user::progress::Progress;
use crate::user::session::MANIFEST;
use crate::user::words;

/// Left out at the top of the folder: our own settings, and histories that hold more than what runs.
const LEFT_OUT: [&str; 4] = [MANIFEST, ".git", ".hg", ".svn"];

enum PackError {
    Io(PathBuf, io::Error),
    Special(PathBuf),
    Empty,
}

/// Packs a folder into a file that goes when it is dropped.
pub async fn pack(folder: &Path, progress: &Progress) -> Result<NamedTempFile, Failure> {
    progress.doing("pack", &folder.display().to_string(), true);
    let temporary = |error: io::Error| Failure::new(Exit::Failed, words::cannot_write(&std::env::temp_dir(), &error));
    let packed = NamedTempFile::with_suffix(".tar.gz").map_err(temporary)?;
    let target = packed.reopen().map_err(temporary)?;
    let (folder, shown) = (folder.to_owned(), folder.display().to_string());
    let work = tokio::task::spawn_blocking(move || write(&folder, target));
    match work.await.map_err(|error| Failure::new(Exit::Failed, error.to_string()))? {
        Ok(()) => Ok(packed),
        Err(PackError::Io(path, error)) => Err(Failure::usage(words::cannot_read(&path, &error))),
        Err(PackError::Special(path)) => Err(Failure::usage(words::special_file(&path))),
        Err(PackError::Empty) => Err(Failure::usage(format!("{shown} cannot be deployed")).why(words::EMPTY_FOLDER)),
    }
}

fn write(folder: &Path, target: File) -> Result<(), PackError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| PackError::Io(path, error)
    };
    // The fastest level: the archive crosses one connection once, and most of it is compressed already.
    let mut archive = Builder::new(GzEncoder::new(BufWriter::new(target), Compression::fast()));
    archive.mode(HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    let files = append_folder(&mut archive, folder, Path::new(""))?;
    if files == 0 {
        return Err(PackError::Empty);
    }
    let finish = archive.into_inner().and_then(GzEncoder::finish).and_then(|mut out| out.flush());
    finish.map_err(at(folder))
}

/// Appends what is in `folder` below `name`, sorted; gives the number of files.
fn append_folder<W: Write>(archive: &mut Builder<W>, folder: &Path, name: &Path) -> Result<u64, PackError> {
    let listing = || -> io::Result<Vec<fs::DirEntry>> {
        let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        Ok(entries)
    };
    let mut files = 0;
    for entry in listing().map_err(|error| PackError::Io(folder.to_owned(), error))? {
        let path = entry.path();
        if name.as_os_str().is_empty() && LEFT_OUT.iter().any(|left_out| entry.file_name() == *left_out) {
            continue;
        }
        let inside = name.join(entry.file_name());
        files += append(archive, &entry, &path, &inside)?;
    }
    Ok(files)
}

fn append<W: Write>(archive: &mut Builder<W>, entry: &fs::DirEntry, path: &Path, inside: &Path) -> Result<u64, PackError> {
    let at = |error| PackError::Io(path.to_owned(), error);
    let kind = entry.file_type().map_err(at)?;
    if kind.is_dir() {
        archive.append_dir(inside, path).map_err(at)?;
        return append_folder(archive, path, inside);
    }
    if kind.is_symlink() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_mtime(0);
        archive.append_link(&mut header, inside, fs::read_link(path).map_err(at)?).map_err(at)?;
    } else if kind.is_file() {
        archive.append_path_with_name(path, inside).map_err(at)?;
    } else {
        return Err(PackError::Special(path.to_owned()));
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Name, mode and link target of every entry.
    fn entries(packed: &Path) -> Vec<(String, u32, Option<String>)> {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(packed).expect("opens")));
        let entries = archive.entries().expect("an archive");
        let row = |entry: io::Result<tar::Entry<'_, _>>| {
            let entry: tar::Entry<'_, GzDecoder<File>> = entry.expect("an entry");
            let link = entry.link_name().expect("a link").map(|to| to.display().to_string());
            (entry.path().expect("a path").display().to_string(), entry.header().mode().expect("a mode"), link)
        };
        entries.map(row).collect()
    }

    fn pack_to(folder: &Path, target: &Path) -> Result<(), PackError> {
        write(folder, File::create(target).expect("creates"))
    }

    #[test]
    fn a_folder_keeps_its_links_and_executable_bits_and_packs_the_same_twice() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("app");
        fs::create_dir_all(folder.join("lib")).expect("makes");
        fs::create_dir_all(folder.join(".git")).expect("makes");
        for name in ["control", "lib/a.txt", ".git/secret", "dinp.toml", "index.html"] {
            fs::write(folder.join(name), name).expect("writes");
        }
        fs::set_permissions(folder.join("control"), fs::Permissions::from_mode(0o755)).expect("sets");
        symlink("lib/a.txt", folder.join("link")).expect("links");
        let (one, two) = (home.path().join("one.tar.gz"), home.path().join("two.tar.gz"));
        assert!(pack_to(&folder, &one).is_ok());
        let found = entries(&one);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["control", "index.html", "lib", "lib/a.txt", "link"]);
        assert_eq!((found[0].1 & 0o111, found[1].1 & 0o111), (0o111, 0));
        assert_eq!(found[4].2.as_deref(), Some("lib/a.txt"));
        File::open(folder.join("control")).expect("opens").set_modified(std::time::SystemTime::UNIX_EPOCH).expect("sets");
        assert!(pack_to(&folder, &two).is_ok());
        assert_eq!(fs::read(&one).expect("reads"), fs::read(&two).expect("reads"));
    }

    #[test]
    fn an_empty_folder_and_a_socket_are_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let (folder, target) = (home.path().join("app"), home.path().join("out"));
        fs::create_dir_all(folder.join("nothing")).expect("makes");
        assert!(matches!(pack_to(&folder, &target), Err(PackError::Empty)));
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).expect("binds");
        assert!(matches!(pack_to(&folder, &target), Err(PackError::Special(path)) if path.ends_with("socket")));
    }
}
