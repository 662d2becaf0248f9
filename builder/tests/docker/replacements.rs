//! An operator's image in a base's place.

use dinp_common::kind::Base;

use super::engine::{CLUSTER, Engine, order, refusal};
use super::files::{jar, tar_gz};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_what_the_contract_asks_is_refused_with_all_it_lacks() {
    let engine = Engine::for_tests();
    let mut workshop = engine.workshop().await;
    // There is one once a build needed it.
    drop(engine.image("needs-debian", "x.tar.gz", &tar_gz(&[("+control", b"#!/bin/sh\n")])).await);
    workshop.bases.insert(Base::Java, format!("dinp-base/debian:{CLUSTER}"));
    let (outcome, _) = engine.build_with(&workshop, &order("replaced", "hello.jar"), &jar()).await;
    let refusal = refusal(outcome);
    assert!(refusal.why.contains("cannot stand in for the base java: it lacks the program java"), "{refusal:?}");
    assert!(refusal.why.contains("serve-war") && refusal.fix.contains("BASES.md"), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_keeps_the_contract_is_built_on() {
    let engine = Engine::for_tests();
    let mut workshop = engine.workshop().await;
    drop(engine.image("needs-debian-too", "x.tar.gz", &tar_gz(&[("+control", b"#!/bin/sh\n")])).await);
    let reference = "dinp-builder-test-base:mine".to_owned();
    engine.run(&["tag", &format!("dinp-base/debian:{CLUSTER}"), &reference]);
    workshop.bases.insert(Base::Debian, reference.clone());
    let content = tar_gz(&[("+control", b"#!/bin/sh\n")]);
    let (outcome, _) = engine.build_with(&workshop, &order("replaced-well", "x.tar.gz"), &content).await;
    let text = format!("{:?}", outcome.expect("image"));
    engine.run(&["rmi", "default/replaced-well:b1"]);
    engine.run(&["rmi", &reference]);
    assert!(text.contains(&format!("FROM {reference}")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_nobody_has_is_named() {
    let engine = Engine::for_tests();
    let mut workshop = engine.workshop().await;
    workshop.bases.insert(Base::Web, "127.0.0.1:1/nobody/has:this".to_owned());
    let (outcome, log) =
        engine.build_with(&workshop, &order("replaced-not", "x.tar.gz"), &tar_gz(&[("index.html", b"hi")])).await;
    let refusal = refusal(outcome);
    assert!(refusal.why.contains("127.0.0.1:1/nobody/has:this") && refusal.fix.contains("bases.web"), "{refusal:?}");
    assert!(log.iter().any(|line| line.starts_with("fetching")), "{log:?}");
}
