use std::fs;

use super::sources;
use super::spec;
use crate::refusal::Refusal;
use dinp_common::kind::Base;

fn host(release: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("folder");
    fs::create_dir_all(root.path().join("etc/apt/sources.list.d")).expect("folders");
    fs::write(root.path().join("etc/os-release"), release).expect("file");
    for (name, text) in files {
        fs::write(root.path().join("etc/apt").join(name), text).expect("file");
    }
    root
}

const BOOKWORM: &str = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_CODENAME=bookworm\nID=debian\n";

#[test]
fn sources_are_the_hosts_own_without_its_neighbours() {
    let root = host(
        BOOKWORM,
        &[
            (
                "sources.list",
                "# deb http://old bookworm main\ndeb cdrom:[Debian 12]/ bookworm main\n\
                 deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-updates main contrib\n\
                 deb-src http://mirror.example/debian bookworm main\n",
            ),
            (
                "sources.list.d/debian.sources",
                "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
                 Types: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\nEnabled: no\n",
            ),
            ("sources.list.d/docker.list", "deb http://docker.example/debian bookworm stable\n"),
            ("sources.list.d/node.sources", "Types: deb\nURIs: http://node.example\nSuites: nodistro\nComponents: main\n"),
        ],
    );
    let sources = sources::read(root.path()).expect("sources");
    assert_eq!(sources.suite, "bookworm");
    assert_eq!(sources.lines, "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-updates main contrib\n");
    let stanza = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n";
    assert_eq!(sources.stanzas, stanza);
}

#[test]
fn another_system_is_told_what_to_do() {
    let root = host("PRETTY_NAME=\"Fedora 40\"\nID=fedora\n", &[]);
    let refusal = Refusal::of(&sources::read(root.path()).expect_err("not Debian"));
    assert!(refusal.why.contains("this machine runs Fedora 40") && refusal.fix.contains("[bases]"), "{refusal:?}");
    let root = host(BOOKWORM, &[]);
    assert!(Refusal::of(&sources::read(root.path()).expect_err("none")).why.contains("no package source of Debian bookworm"));
}

#[test]
fn a_base_is_known_by_what_it_is_made_of() {
    let ids: std::collections::BTreeSet<String> = Base::ALL.into_iter().map(spec::recipe_id).collect();
    assert_eq!(ids.len(), Base::ALL.len());
    assert!(ids.iter().all(|id| id.len() == 12));
}

#[test]
fn the_hosts_proxies_are_used() {
    let dump = "APT \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://127.0.0.1:3142\";\nAcquire::https::Proxy::deb.example \"DIRECT\";\n\
        Acquire::ForceIPv4 \"true\";\n";
    assert_eq!(
        sources::proxies(dump),
        ["--aptopt=Acquire::http::Proxy \"http://127.0.0.1:3142\";", "--aptopt=Acquire::https::Proxy::deb.example \"DIRECT\";"]
    );
}
