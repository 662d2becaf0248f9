//! What a router does as root, and how it stops being root.

use std::os::unix::fs::lchown;
use std::path::Path;

use anyhow::Context as _;
use nix::unistd::{User, geteuid, setgid, setgroups, setuid};

/// Becomes `user`, for good, after giving it `owned` and what lies directly in it.
///
/// # Errors
/// If there is no such user, or this process is not root and not that user already.
pub fn become_user(user: &str, owned: &[&Path]) -> anyhow::Result<()> {
    let account =
        User::from_name(user).context("looking up the user")?.with_context(|| format!("there is no user \"{user}\""))?;
    if geteuid() == account.uid {
        return Ok(());
    }
    anyhow::ensure!(geteuid().is_root(), "only root can become the user \"{user}\"");
    for path in owned {
        let inside = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        for path in std::iter::once(path.to_path_buf()).chain(inside) {
            // Not through a link: what lies in the user's own folder is the user's word.
            lchown(&path, Some(account.uid.as_raw()), Some(account.gid.as_raw()))
                .with_context(|| format!("giving {} to {user}", path.display()))?;
        }
    }
    setgroups(&[account.gid]).context("dropping root's groups")?;
    setgid(account.gid).context("changing the group")?;
    setuid(account.uid).context("changing the user")?;
    anyhow::ensure!(setuid(nix::unistd::ROOT).is_err(), "root was not given up");
    Ok(())
}
