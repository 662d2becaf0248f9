//! From a file or an image to a URL.

use dinp_common::api::{DeployRequest, Settings, Source};
use dinp_common::deploy::DeployState;
use dinp_common::kind::Kind;
use dinp_tests::lab::{name, said};
use dinp_tests::runner::World;
use dinp_tests::sample;

pub async fn a_binary_answers_through_the_router(world: &World) {
    let lab = world.lab().await;
    let ended = lab.deploy("first", &sample::binary(), Settings::default()).await;
    assert_eq!(ended.build.and_then(|build| build.kind), Some(Kind::Binary));
    let answer = lab.get("first", "/whoami").await.expect("an answer");
    let me = answer.json();
    assert_eq!((answer.status.as_u16(), me["app"].as_str(), me["release"].as_str()), (200, Some("first"), Some("v1")));
    let app = lab.settled("first").await;
    assert_eq!(me["instance"].as_str(), Some(app.instances[0].id.as_str()));
    assert_eq!(me["node"].as_str(), Some(app.instances[0].node.as_str()));
}

pub async fn the_command_line_deploys_and_says_where(world: &World) {
    let lab = world.lab().await;
    let file = sample::binary();
    let output = lab.dinp(&["deploy", file.to_str().expect("UTF-8"), "-a", "by-cli", "--health", "/health"]).await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("http://by-cli.localhost:{}", lab.router.port())), "{text}");
    assert_eq!(lab.get("by-cli", "/health").await.expect("an answer").body, "ok\n");
}

pub async fn curl_with_a_token_deploys(world: &World) {
    let lab = world.lab().await;
    let token = std::fs::read_to_string(lab.state().join("tokens/admin")).expect("a token");
    let url = format!("http://{}/v1/apps/by-curl/artifact?file_name=sample", lab.panel);
    let file = sample::binary();
    let output = tokio::process::Command::new("curl")
        .args(["-sS", "-H", &format!("Authorization: Bearer {}", token.trim()), "-T"])
        .arg(&file)
        .arg(&url)
        .output()
        .await
        .expect("curl runs");
    assert!(output.status.success(), "{}", said(&output));
    let deploy = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    lab.succeeds(&deploy).await;
    assert_eq!(lab.get("by-curl", "/health").await.expect("an answer").status, 200);
}

pub async fn a_local_image_is_deployed_by_its_digest(world: &World) {
    let lab = world.lab().await;
    let id = lab.docker.import(&sample::binary(), "lab-image:latest");
    let request = DeployRequest { source: Source::Image { reference: "lab-image:latest".into() }, settings: Settings::default() };
    let begun = lab.client().deploy_create(&name("by-image"), &request).await.expect("taken");
    let ended = lab.succeeds(&begun).await;
    assert_eq!(ended.state, DeployState::Succeeded);
    let app = lab.settled("by-image").await;
    assert_eq!(app.image.expect("an image").config.as_str(), id);
    // The name moves on to another image; the release does not.
    lab.docker.run(&["tag", &id, "lab-image:old"]);
    let other = lab.folder().join("other");
    std::fs::write(&other, "not a program").expect("write");
    lab.docker.import(&other, "lab-image:latest");
    lab.succeeds(&lab.client().restart(&name("by-image")).await.expect("taken")).await;
    assert_eq!(lab.get("by-image", "/health").await.expect("an answer").status, 200);
    lab.client().app_delete(&name("by-image")).await.expect("taken");
}

pub async fn the_command_line_follows_an_app_through_its_life(world: &World) {
    let lab = world.lab().await;
    let file = sample::binary();
    lab.deploy("life", &file, Settings::default()).await;
    let run = async |arguments: &[&str]| {
        let output = lab.dinp(arguments).await;
        assert!(output.status.success(), "dinp {}: {}", arguments.join(" "), said(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(run(&["apps"]).await.contains("life"));
    assert!(run(&["status", "life"]).await.contains("Running"));
    run(&["env", "set", "GREETING=hello", "-a", "life"]).await;
    assert!(run(&["env", "list", "life"]).await.contains("hello"));
    run(&["scale", "2", "-a", "life"]).await;
    assert!(run(&["releases", "life"]).await.contains("v2"));
    run(&["restart", "life"]).await;
    run(&["rollback", "v1", "-a", "life"]).await;
    assert!(run(&["logs", "life"]).await.contains("listens on"));
    assert!(run(&["events", "life"]).await.contains("life"));
    assert!(run(&["why", "life"]).await.contains("life"));
    assert!(run(&["nodes"]).await.contains("Ready"));
    run(&["stop", "life"]).await;
    let stopped = lab.get("life", "/").await.expect("an answer");
    assert_eq!(stopped.status, 503, "{stopped:?}");
    run(&["start", "life"]).await;
    assert_eq!(lab.get("life", "/health").await.expect("an answer").status, 200);
    run(&["delete", "life", "--confirm", "life"]).await;
    let gone = lab.get("life", "/").await.expect("an answer");
    assert_eq!(gone.status, 404, "{gone:?}");
    assert_eq!(lab.docker.all("life").len(), 0);
}
