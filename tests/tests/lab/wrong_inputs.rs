//! Wrong input gets a clear error and loses nothing.

use std::path::Path;
use std::process::Output;

use dinp_common::api::Settings;
use dinp_tests::lab::{Lab, name, said};
use dinp_tests::process::{self, Running};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use nix::sys::signal::Signal;

use crate::artifacts;

/// The command fails, and says all of `words`.
async fn says(lab: &Lab, arguments: &[&str], words: &[&str]) -> Output {
    let output = lab.dinp(arguments).await;
    let text = said(&output);
    assert!(!output.status.success(), "dinp {}: {text}", arguments.join(" "));
    for word in words {
        assert!(text.contains(word), "dinp {} does not say \"{word}\": {text}", arguments.join(" "));
    }
    output
}

/// A deploy of `file` fails in words, and what served before serves on.
async fn deploy_says(lab: &Lab, file: &Path, words: &[&str]) {
    let before = lab.docker.running("sturdy");
    says(lab, &["deploy", file.to_str().expect("UTF-8"), "-a", "sturdy"], words).await;
    assert_eq!(lab.docker.running("sturdy"), before, "the old release goes on: {}", file.display());
    assert_eq!(lab.get("sturdy", "/health").await.expect("an answer").status, 200);
}

pub async fn archives_that_are_none_or_attack_are_refused(world: &World) {
    let lab = world.lab().await;
    lab.deploy("sturdy", &sample::binary(), Settings::default()).await;
    let folder = lab.folder().join("wrong");
    let text = artifacts::write(&folder, "notes.tar.gz", "this is a letter, not an archive\n");
    deploy_says(lab, &text, &["neither an archive nor a Linux executable"]).await;
    deploy_says(lab, &artifacts::write(&folder, "nothing.tar.gz", ""), &["empty"]).await;

    let good = lab.folder().join("good");
    artifacts::executable(&good, "control", "#!/bin/sh\nexec true\n");
    artifacts::write(&good, "data", (0u32..100_000).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let whole = std::fs::read(artifacts::tar_gz(&good, "good.tar.gz")).expect("an archive");
    let half = artifacts::write(&folder, "half.tar.gz", &whole[..whole.len() / 2]);
    deploy_says(lab, &half, &["try:"]).await;
    for (file, member, words) in [
        ("up.tar.gz", "add('../../etc/cron.d/x')", "../../etc/cron.d/x"),
        ("absolute.tar.gz", "add('/etc/cron.d/x')", "/etc/cron.d/x"),
        ("device.tar.gz", "add('disk', type=tarfile.BLKTYPE)", "device"),
        ("link.tar.gz", "add('link', b'', type=tarfile.SYMTYPE, linkname='../../../etc/shadow')", "link"),
        ("setuid.tar.gz", "add('su', mode=0o4755)", "set"),
    ] {
        deploy_says(lab, &artifacts::hostile_tar(&folder, file, member), &[words, "try:"]).await;
    }
    let bare = lab.folder().join("bare");
    artifacts::write(&bare, "README.txt", "nothing that starts\n");
    deploy_says(lab, &artifacts::tar_gz(&bare, "bare.tar.gz"), &["control"]).await;
}

pub async fn a_bomb_ends_in_a_refusal_and_not_in_a_full_disk(world: &World) {
    let lab = world.lab().await;
    lab.deploy("sturdy", &sample::binary(), Settings::default()).await;
    let folder = lab.folder().join("bomb");
    std::fs::create_dir_all(&folder).expect("a folder");
    // 10 GB of zeros in 10 MB: a header that promises them, and a hundred times the same packed 100 MB.
    let script = r#"import gzip, tarfile
control = tarfile.TarInfo("control"); control.mode = 0o755; control.size = 0
zeros = tarfile.TarInfo("zeros"); zeros.size = 10_000_000_000
with open("bomb.tar.gz", "wb") as bomb:
    bomb.write(gzip.compress(control.tobuf() + zeros.tobuf(tarfile.GNU_FORMAT)))
    packed = gzip.compress(bytes(100_000_000), 1)
    for _ in range(100): bomb.write(packed)
"#;
    artifacts::run(&folder, "python3", &["-c", script]);
    let bomb = folder.join("bomb.tar.gz");
    assert!(std::fs::metadata(&bomb).expect("the bomb").len() < 64_000_000);
    deploy_says(lab, &bomb, &["unpacks to more than"]).await;
    std::fs::remove_file(bomb).expect("removed");
}

pub async fn names_numbers_and_sizes_are_checked(world: &World) {
    let lab = world.lab().await;
    let file = sample::binary();
    let file = file.to_str().expect("UTF-8");
    says(lab, &["deploy", file, "-a", "Not_A_Label"], &["N"]).await;
    says(lab, &["deploy", file, "-a", "dashboard"], &["reserved"]).await;
    lab.deploy("numbers", &sample::binary(), Settings::default()).await;
    for count in ["-1", "10000"] {
        says(lab, &["scale", count, "-a", "numbers"], &["1 to 1000"]).await;
    }
    says(lab, &["scale", "--memory", "256", "-a", "numbers"], &["unit is missing"]).await;
    let output = says(lab, &["scale", "--memory", "900G", "-a", "numbers"], &["GiB"]).await;
    assert!(said(&output).contains("900GiB"), "with the numbers: {}", said(&output));
    assert_eq!(lab.app("numbers").await.app.instances_wanted, 1);
    let folder = lab.folder().join("manifest");
    artifacts::write(&folder, "dinp.toml", "schema = 1\nname = \"numbers\"\n[run]\ninstnces = 2\n");
    let mut command = lab.command(&["deploy", file]);
    command.current_dir(&folder);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("dinp runs");
    let text = said(&output);
    assert!(!output.status.success() && text.contains("instnces") && text.contains("line 4"), "{text}");
}

pub async fn an_app_too_big_for_a_second_one_is_told_its_choices(world: &World) {
    let lab = world.lab().await;
    let nodes = lab.client().nodes().await.expect("nodes").items;
    let free = nodes[0].capacity.as_ref().expect("a capacity").memory.0 - nodes[0].memory_reserved.0;
    let size = format!("{}M", free * 2 / 3);
    let file = sample::binary();
    let deploy = ["deploy", file.to_str().expect("UTF-8"), "-a", "bulky", "--memory", &size];
    let first = lab.dinp(&deploy).await;
    assert!(first.status.success(), "{}", said(&first));
    let before = lab.docker.running("bulky");
    let second = says(lab, &deploy, &["--strategy recreate", "MiB"]).await;
    assert_eq!(second.status.code(), Some(8), "{}", said(&second));
    assert_eq!(lab.docker.running("bulky"), before);
    let mut recreate = deploy.to_vec();
    recreate.extend(["--strategy", "recreate"]);
    let third = lab.dinp(&recreate).await;
    assert!(third.status.success(), "{}", said(&third));
    lab.dinp(&["delete", "bulky", "--confirm", "bulky"]).await;
    until("its memory is free", dinp_tests::lab::SETTLE, async || lab.docker.all("bulky").len(), |n| *n == 0).await;
}

pub async fn a_second_up_and_a_taken_port_are_said(_: &World) {
    let docker = dinp_tests::docker::Docker::for_tests();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut lab = Lab::prepare(docker);
    let free = lab.router;
    lab.router = taken.local_addr().expect("its address");
    let output = lab.up_with(&[]).await;
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    for word in [format!("port {}", lab.router.port()), format!("(process {})", std::process::id()), "--listen".to_owned()] {
        assert!(text.contains(&word), "no \"{word}\" in: {text}");
    }
    lab.router = free;
    lab.up().await;
    let (control, router) = (lab.pid("control"), lab.pid("router"));
    let again = lab.up_with(&[]).await;
    let text = said(&again);
    assert!(again.status.success() && text.contains(&format!("already running as process {control}")), "{text}");
    assert!(text.contains("nothing changed"), "{text}");
    assert_eq!((lab.pid("control"), lab.pid("router")), (control, router));
    let state = lab.state();
    let second = lab.dinp(&["up", "--foreground", "--state", state.to_str().expect("UTF-8")]).await;
    let text = said(&second);
    assert!(!second.status.success() && text.contains(&format!("(process {control})")), "{text}");
    lab.purge().await;
}

pub async fn ctrl_c_in_an_upload_leaves_nothing_behind(world: &World) {
    let lab = world.lab().await;
    lab.deploy("halfway", &sample::binary(), Settings::default()).await;
    let deploys = lab.client().deploys(&name("halfway"), &Default::default()).await.expect("deploys").items.len();
    let big = lab.folder().join("big.tar");
    artifacts::run(lab.folder(), "sh", &["-c", "head -c 40000000 /dev/urandom > big.tar"]);
    let mut command = lab.command(&["deploy", big.to_str().expect("UTF-8"), "-a", "halfway"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut deploy = Running::start(&mut command);
    let artifacts_before = artifacts_of(lab);
    until("the upload is under way", dinp_tests::lab::SETTLE, async || artifacts_of(lab), |now| *now != artifacts_before).await;
    process::signal(deploy.pid(), Signal::SIGINT);
    let status = deploy.end(dinp_tests::lab::SETTLE).await;
    assert_eq!(status.code(), Some(130));
    until("the half file is gone", dinp_tests::lab::SETTLE, async || artifacts_of(lab), |now| *now == artifacts_before).await;
    let after = lab.client().deploys(&name("halfway"), &Default::default()).await.expect("deploys").items.len();
    assert_eq!(after, deploys);
    std::fs::remove_file(big).expect("removed");
}

/// Names in the artifacts' folder and below.
fn artifacts_of(lab: &Lab) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![lab.state().join("artifacts")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}
