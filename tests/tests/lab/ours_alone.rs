//! Only what is ours is touched, and `--purge` leaves nothing of it.

use std::collections::BTreeSet;
use std::process::Command;

use dinp_common::api::Settings;
use dinp_tests::lab::Lab;
use dinp_tests::runner::World;
use dinp_tests::sample;

/// Firewall rules and processes: what else `dinp up` could leave behind.
fn host() -> BTreeSet<String> {
    let rules = Command::new("iptables-save").output().expect("iptables-save");
    let rules = String::from_utf8_lossy(&rules.stdout);
    // Counters and times differ between any two calls.
    rules.lines().filter(|line| line.starts_with('-') && !line.contains("DOCKER")).map(str::to_owned).collect()
}

pub async fn containers_of_others_are_never_touched(_: &World) {
    let lab = Lab::start().await;
    lab.deploy("mine", &sample::binary(), Settings::default()).await;
    let mine = lab.docker.running("mine");
    let image = lab.docker.run(&["inspect", "--format", "{{.Image}}", mine.first().expect("a container")]);
    let foreign = [
        ("with-app-name", vec!["--env", "APP_NAME=mine"]),
        ("dinp-mine-zzzzzz", vec![]),
        ("with-a-label", vec!["--label", "dinp.app=mine"]),
    ];
    let mut theirs = BTreeSet::new();
    for (name, more) in foreign {
        let mut arguments = vec!["run", "-d", "--network", "none", "--name", name];
        arguments.extend(more);
        arguments.push(&image);
        theirs.insert(lab.docker.run(&arguments));
    }
    let stopped = lab.docker.run(&["create", "--network", "none", "--env", "APP_NAME=mine", "--name", "their-stopped", &image]);
    lab.succeeds(&lab.client().restart(&dinp_tests::lab::name("mine")).await.expect("taken")).await;
    lab.dinp(&["delete", "mine", "--confirm", "mine"]).await;
    let running = lab.docker.lines(&["ps", "--no-trunc", "-q"]);
    assert!(running.is_superset(&theirs), "after a restart and a delete: {running:?}");
    lab.purge().await;
    let running = lab.docker.lines(&["ps", "--no-trunc", "-q"]);
    assert!(running.is_superset(&theirs), "after --purge: {running:?}");
    assert!(lab.docker.lines(&["ps", "-a", "--no-trunc", "-q"]).contains(&stopped));
    for container in theirs.iter().chain([&stopped]) {
        lab.docker.run(&["rm", "-f", container]);
    }
    lab.docker.run(&["rmi", "-f", &image]);
}

pub async fn purge_leaves_the_machine_as_it_was(_: &World) {
    let lab = Lab::prepare(dinp_tests::docker::Docker::for_tests());
    let (before, host_before) = (lab.docker.inventory(), host());
    lab.up().await;
    lab.deploy("gone", &sample::binary(), Settings::default()).await;
    lab.deploy("gone", &sample::version(lab.folder(), "two"), Settings::default()).await;
    assert_ne!(lab.docker.inventory(), before);
    lab.purge().await;
    assert_eq!(lab.docker.inventory(), before);
    assert_eq!(host(), host_before);
    assert!(!lab.state().exists());
    let home: Vec<_> = std::fs::read_dir(lab.folder().join("home/.config/dinp"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    for file in home {
        let text = std::fs::read_to_string(&file).expect("a file");
        assert!(!text.contains("dinp_pat_"), "{}: {text}", file.display());
    }
    let again = lab.up_with(&["--purge"]).await;
    assert!(again.status.success(), "purging twice is no error");
}

pub async fn purge_works_with_a_corrupt_state(_: &World) {
    let lab = Lab::prepare(dinp_tests::docker::Docker::for_tests());
    let before = lab.docker.inventory();
    lab.up().await;
    lab.deploy("corrupt", &sample::binary(), Settings::default()).await;
    lab.up_with(&["--stop"]).await;
    // Without its journal, from which SQLite would mend the file.
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::write(lab.state().join(file), "this is no database").expect("damage");
    }
    let refused = lab.up_with(&[]).await;
    let text = dinp_tests::lab::said(&refused);
    assert!(!refused.status.success() && text.contains("state.db"), "{text}");
    assert_eq!(lab.docker.running("corrupt").len(), 1, "a damaged state stops nothing");
    lab.purge().await;
    assert_eq!(lab.docker.inventory(), before);
}
