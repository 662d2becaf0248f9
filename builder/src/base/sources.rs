//! The host's own package sources: bases come from where the host's packages come from.

use std::fs;
use std::path::Path;

use crate::refusal::Refusal;

/// The parts of the host's sources that are Debian itself, in both formats apt reads (sources.list(5)).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) suite: String,
    pub(super) lines: String,
    pub(super) stanzas: String,
}

/// Reads `/etc/apt` and `/etc/os-release` below `root`.
pub(super) fn read(root: &Path) -> anyhow::Result<Sources> {
    let release = fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let suite = field("VERSION_CODENAME").filter(|_| field("ID").as_deref() == Some("debian")).ok_or_else(|| {
        Refusal::new(
            format!(
                "base images are made from Debian's packages, and this machine runs {}",
                field("PRETTY_NAME").unwrap_or_default()
            ),
            "name an image of your own for each base in the builder's configuration (`[bases]`)",
        )
    })?;
    let mut sources = Sources { suite, lines: String::new(), stanzas: String::new() };
    for path in files(&root.join("etc/apt")) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.take_lines(&text),
            Some("sources") => sources.take_stanzas(&text),
            _ => {}
        }
    }
    if sources.lines.is_empty() && sources.stanzas.is_empty() {
        let why = format!("/etc/apt names no package source of Debian {}", sources.suite);
        return Err(Refusal::new(why, "add Debian's package sources to /etc/apt/sources.list.d").into());
    }
    Ok(sources)
}

fn files(apt: &Path) -> Vec<std::path::PathBuf> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(folder) = fs::read_dir(apt.join("sources.list.d")) {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    files
}

impl Sources {
    /// Debian itself and not a neighbour that only uses its suite's name: those have components of their own.
    fn is_debian(&self, uris: &str, suites: &str, components: &str) -> bool {
        let suite = &self.suite;
        let ours = |word: &str| word == suite || word == format!("{suite}-updates") || word == format!("{suite}-security");
        suites.split_whitespace().any(ours)
            && components.split_whitespace().any(|word| word == "main")
            && !uris.contains("cdrom:")
    }

    fn take_lines(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("deb ")) {
            // `deb [ options ] uri suite component...`
            let rest = line["deb ".len()..].trim_start();
            let rest = if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if self.is_debian(uri, suite, &words.collect::<Vec<_>>().join(" ")) {
                self.lines.push_str(line);
                self.lines.push('\n');
            }
        }
    }

    fn take_stanzas(&mut self, text: &str) {
        let text: String =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{}\n", line.trim_end())).collect();
        for stanza in text.split("\n\n").map(|stanza| stanza.trim_matches('\n')).filter(|stanza| !stanza.is_empty()) {
            let field = |name: &str| {
                let line = stanza.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
                line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value)
            };
            let on = !field("enabled").trim().eq_ignore_ascii_case("no");
            if on
                && field("types").split_whitespace().any(|kind| kind == "deb")
                && self.is_debian(field("uris"), field("suites"), field("components"))
            {
                self.stanzas.push_str(stanza);
                self.stanzas.push_str("\n\n");
            }
        }
    }
}

/// The proxies apt is told to use on this machine, as options for another apt. `dump` is what `apt-config dump` prints.
pub(super) fn proxies(dump: &str) -> Vec<String> {
    let is_proxy = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        (name.starts_with("acquire::http::") || name.starts_with("acquire::https::")) && name.contains("proxy")
    };
    dump.lines().filter(is_proxy).map(|line| format!("--aptopt={line}")).collect()
}
