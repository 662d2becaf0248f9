use std::path::Path;

use serde_json::Value;

use super::Server;
use crate::api::document;

/// `UPDATE=1 cargo test -p dinp-server document` writes the document anew.
#[test]
fn the_committed_document_is_the_servers_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let own = document().to_pretty_json().expect("json") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, &own).expect("writes");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == own, "docs/openapi.json is not what the server serves; UPDATE=1 cargo test -p dinp-server document");
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_sentence() {
    let document: Value = serde_json::to_value(document()).expect("json");
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{method} {path}: {name} is taken");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let server = Server::new().await;
    let served = server.get("/v1/openapi.json").await.json();
    assert_eq!(served, serde_json::to_value(document()).expect("json"));
}
