//! Names and link targets, as archives give them and as layers take them.

use crate::refusal::Refusal;

/// Bytes of a path: the kernel's PATH_MAX.
const PATH_BYTES: usize = 4096;
/// Bytes of one name in a path: the kernel's NAME_MAX.
const NAME_BYTES: usize = 255;

fn repack(why: String) -> Refusal {
    Refusal::new(why, "make the archive again, from within the app's folder (`tar -czf app.tar.gz -C app .`)")
}

/// A member's name as a relative path; empty for the archive's own root (`./`).
pub(crate) fn clean(raw: &[u8]) -> Result<String, Refusal> {
    let shown = String::from_utf8_lossy(raw).chars().take(120).collect::<String>();
    let text = std::str::from_utf8(raw)
        .map_err(|_| repack(format!("the archive has a name which is not UTF-8 (\"{shown}\"); rename the file")))?;
    if text.starts_with('/') {
        return Err(repack(format!("the archive has an absolute path (\"{shown}\")")));
    }
    if text.contains('\0') || text.len() > PATH_BYTES {
        return Err(repack(format!("the archive has a name no file can have (\"{shown}\")")));
    }
    let mut parts = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(repack(format!("the archive has a path with .. (\"{shown}\")")));
        }
        if part.len() > NAME_BYTES {
            return Err(repack(format!("the archive has a name of {} bytes; a file's has at most 255", part.len())));
        }
        // In an image layer such a name does not make a file: it deletes one of the base's.
        if part.starts_with(".wh.") {
            return Err(repack(format!(
                "the archive has a name that begins with .wh. (\"{shown}\"), which deletes files in images"
            )));
        }
        parts.push(part);
    }
    Ok(parts.join("/"))
}

/// Checks where a symbolic link at `path` leads.
///
/// `..` may only stand at its beginning: there it climbs real folders (no member lies behind a link), so counting is
/// exact. Behind a name it could climb out of another link's target.
pub(crate) fn check_symlink(path: &str, target: &str) -> Result<(), Refusal> {
    let escapes = || {
        let why = format!("the archive has a link that leads out of it (\"{path}\" -> \"{target}\")");
        Refusal::new(why, "replace the link by the file it means, or make it relative within the archive")
    };
    if target.is_empty() || target.len() > PATH_BYTES || target.contains('\0') || target.starts_with('/') {
        return Err(escapes());
    }
    let mut depth = path.matches('/').count();
    let mut below = false;
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part != ".." {
            below = true;
        } else if below || depth == 0 {
            return Err(escapes());
        } else {
            depth -= 1;
        }
    }
    Ok(())
}

/// `path` below the folder `strip`; `None` for that folder itself.
pub(crate) fn below<'p>(path: &'p str, strip: Option<&str>) -> Option<&'p str> {
    match strip {
        None => Some(path),
        Some(folder) => path.strip_prefix(folder)?.strip_prefix('/'),
    }
}
