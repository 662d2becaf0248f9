//! From a file to a URL.

use dinp_common::api::Settings;
use dinp_common::kind::Kind;
use dinp_tests::runner::World;
use dinp_tests::sample;

pub async fn a_binary_answers_through_the_router(world: &World) {
    let lab = world.lab().await;
    let ended = lab.deploy("first", &sample::binary(), Settings::default()).await;
    assert_eq!(ended.build.and_then(|build| build.kind), Some(Kind::Binary));
    let answer = lab.get("first", "/whoami").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.json()["app"].as_str()), (200, Some("first")));
    lab.settled("first").await;
}
