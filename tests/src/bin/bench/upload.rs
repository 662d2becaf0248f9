//! From a binary of 5 MB on disk to its first answer through the router.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dinp_tests::lab::Lab;
use dinp_tests::sample;

use crate::raw::Peer;
use crate::ready::{remove, settings};
use crate::row::Row;
use crate::samples::Samples;
use crate::{Asked, first};

const BYTES: u64 = 5_000_000;

pub async fn measure(lab: &Lab, peer: &Peer, asked: &Asked) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut raw, mut ours) = (Samples::default(), Samples::default());
    for n in 0..asked.times(4, 12) {
        let file = binary(folder.path(), n as u64);
        raw.add(alone(peer, lab, &file, folder.path()).await);
        ours.add(once(lab, &format!("upload-{n}"), &file).await);
        std::fs::remove_file(file).expect("removed");
    }
    let beside = format!("{}; Docker alone (import, create, start, answer) {}", ours.told(), raw.told());
    let measured = ours.worst() / 1_000.0;
    vec![Row { figure: "5 MB binary: upload to live, worst", at_least: 3.0, aim: 1.0, measured, unit: "s", beside }]
}

async fn once(lab: &Lab, app: &str, file: &Path) -> Duration {
    let host = lab.host(app);
    let begun = Instant::now();
    let (deploy, answered) =
        tokio::join!(lab.deploy_begin(app, file, settings()), first::answer(lab.router, &host, "/health", first::is_200));
    lab.succeeds(&deploy).await;
    remove(lab, app).await;
    answered.duration_since(begun)
}

/// The same by Docker alone, from a tar file that is in memory already.
async fn alone(peer: &Peer, lab: &Lab, file: &Path, folder: &Path) -> Duration {
    let tar = folder.join("image.tar");
    let rename = "s,.*,app,";
    let mut pack = std::process::Command::new("tar");
    pack.arg("-C").arg(folder).args(["--transform", rename, "-cf"]).arg(&tar);
    let status = status_of(pack.arg(file.file_name().expect("a name")));
    assert!(status, "tar fails");
    let tar = std::fs::read(&tar).expect("the archive").into();
    let begun = Instant::now();
    peer.import(tar, "dinp-bench-upload").await;
    let made = begun.elapsed();
    let ran = peer.once("dinp-bench-upload").await;
    lab.docker.run(&["rmi", "dinp-bench-upload"]);
    made + ran
}

fn status_of(command: &mut std::process::Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// The sample with bytes after its end that no compression shortens and no other file has.
fn binary(folder: &Path, seed: u64) -> PathBuf {
    let path = sample::version(folder, &seed.to_string());
    let missing = BYTES.saturating_sub(path.metadata().expect("the file").len());
    // Marsaglia's xorshift64: any generator without a period this short will do.
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let noise = (0..missing.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(missing as usize).collect();
    std::fs::OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(&noise)).expect("written");
    path
}
