//! Every command in the README works as it is written there.

use std::path::Path;
use std::process::Command;

use dinp_tests::lab::{Lab, said};
use dinp_tests::runner::World;

use crate::artifacts;

/// The content of the README's blocks of one language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    readme.split(&fence).skip(1).filter_map(|rest| Some(rest.split("```").next()?.to_owned())).collect()
}

/// The commands of the `sh` blocks, without what is said about them.
fn commands(readme: &str) -> Vec<String> {
    let blocks = blocks(readme, "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

pub async fn every_command_in_the_readme_works(world: &World) {
    let lab = world.lab().await;
    let readme = std::fs::read_to_string(dinp_tests::root().join("README.md")).expect("the README");
    let folder = lab.folder().join("readme");
    std::fs::create_dir_all(folder.join("target")).expect("a folder");
    std::fs::rename(artifacts::war(&folder), folder.join("target/shop.war")).expect("the file it deploys");
    let commands = commands(&readme);
    assert!(commands.len() >= 5, "{commands:?}");
    for command in &commands {
        run(lab, &folder, command).await;
    }
    // The sample of a dinp.toml is one that deploys, by itself.
    let manifest = blocks(&readme, "toml").into_iter().next().expect("a dinp.toml");
    artifacts::write(&folder, "dinp.toml", manifest.replace("path = \"/health\"", "path = \"/\""));
    run(lab, &folder, "dinp deploy").await;
    assert_eq!(lab.app("shop").await.app.instances_wanted, 2);
}

async fn run(lab: &Lab, folder: &Path, command: &str) {
    let here = command.replace(":8080", &format!(":{}", lab.router.port())).replace(":8081", &format!(":{}", lab.panel.port()));
    let words: Vec<&str> = here.split_whitespace().collect();
    let mut process = match words[0] {
        "dinp" => lab.command(&words[1..]),
        "curl" => {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--fail"]).args(&words[1..]);
            curl
        }
        // The scripts work on the whole machine; here they only have to know what is asked of them.
        script if script.starts_with("./deploy/") => {
            let help = Command::new(dinp_tests::root().join(script)).arg("--help").output().expect("the script runs");
            let text = said(&help);
            assert!(help.status.success(), "{script} --help: {text}");
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(text.contains(option), "{script} does not know {option}: {text}");
            }
            return;
        }
        other => panic!("the README runs {other}, and this test does not know how: {command}"),
    };
    process.current_dir(folder);
    let output = tokio::task::spawn_blocking(move || process.output()).await.expect("joined").expect("it runs");
    assert!(output.status.success(), "{command}: {}", said(&output));
}
