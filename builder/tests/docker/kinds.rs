//! Every kind from a real file to HTTP 200 with the right content, and each once wrong.

use dinp_common::build::BuildOutcome;
use dinp_common::health::HealthCheck;
use dinp_common::kind::Kind;

use super::engine::{Built, Engine, refusal};
use super::files::{binary, jar, tar_gz, war, zip};

const CONTROL: &[u8] = b"#!/bin/sh\n[ \"$1\" = start ] || exit 1\ncd /app && exec ./bin/server \"$2\"\n";

fn is(built: &Built<'_>, kind: Kind, health: HealthCheck) {
    match &built.outcome {
        BuildOutcome::Image { kind: found, health: with, image, .. } => {
            assert_eq!((*found, with), (kind, &health));
            assert!(image.bytes > 0 && image.manifest.is_none());
        }
        BuildOutcome::Failed { why, .. } => panic!("{why}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_binary_runs_on_nothing() {
    let engine = Engine::for_tests();
    let built = engine.image("bare", "server", &binary("-static")).await;
    is(&built, Kind::Binary, HealthCheck::Tcp);
    assert!(built.dockerfile().contains("FROM scratch"));
    let container = engine.start(built.id());
    assert_eq!(container.get("/", "").2, "uid 1000 in /app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_binary_runs_on_debian() {
    let engine = Engine::for_tests();
    let built = engine.image("dynamic", "server", &binary("-no-pie")).await;
    is(&built, Kind::Binary, HealthCheck::Tcp);
    assert_eq!(engine.start(built.id()).get("/", "").2, "uid 1000 in /app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_script_starts_what_it_names() {
    let engine = Engine::for_tests();
    let server = binary("-pie");
    for (name, content) in [
        ("shop.tar.gz", tar_gz(&[("+shop-1/control", CONTROL), ("+shop-1/bin/server", &server)])),
        ("shop.zip", zip(&[("+control", CONTROL), ("+bin/server", &server)])),
    ] {
        let built = engine.image(&format!("control-{}", &name[5..6]), name, &content).await;
        is(&built, Kind::Control, HealthCheck::Tcp);
        assert_eq!(engine.start(built.id()).get("/", "").2, "uid 1000 in /app", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jar_runs_within_its_memory() {
    let engine = Engine::for_tests();
    let built = engine.image("jar", "hello.jar", &jar()).await;
    is(&built, Kind::Jar, HealthCheck::Tcp);
    let container = engine.start(built.id());
    let (status, _, body) = container.get("/", "");
    let heap: u64 = body.strip_prefix("heap ").and_then(|text| text.parse().ok()).expect("heap");
    assert!(status == 200 && (120..=180).contains(&heap), "{heap} MiB of 256");
    assert!(container.stops_on_term(), "SIGTERM does not reach it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_war_serves_pages_jsps_and_servlets_of_either_api() {
    let engine = Engine::for_tests();
    for api in ["jakarta", "javax"] {
        let built = engine.image(&format!("war-{api}"), "app.war", &war(api)).await;
        is(&built, Kind::War, HealthCheck::Tcp);
        assert_eq!(built.log.iter().any(|line| line.contains("converted to jakarta.servlet")), api == "javax", "{:?}", built.log);
        let container = engine.start(built.id());
        let (status, head, body) = container.get("/", "");
        assert!(status == 200 && head.contains("text/html") && body == "<h1>a page of a war</h1>", "{head} {body}");
        assert_eq!(container.get("/hi", "").2, format!("hi from {api}"));
        assert_eq!(container.get("/sum.jsp", "").2, "sum 42");
        assert_eq!(container.get("/WEB-INF/web.xml", "").0, 404);
        assert!(container.stops_on_term(), "SIGTERM does not reach it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_apps_are_served_by_gunicorn_or_by_themselves() {
    let engine = Engine::for_tests();
    let wsgi = b"import greeting\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [greeting.TEXT]\n";
    let built =
        engine.image("wsgi", "app.tar.gz", &tar_gz(&[("wsgi.py", wsgi), ("vendor/greeting.py", b"TEXT = b'vendored'\n")])).await;
    is(&built, Kind::Python, HealthCheck::Tcp);
    let container = engine.start(built.id());
    assert_eq!(container.get("/", "").2, "vendored");
    assert!(container.stops_on_term(), "SIGTERM does not reach it");

    let wheel = zip(&[("greeting.py", b"TEXT = b'from a wheel'\n")]);
    let app = b"import greeting\nfrom wsgiref.simple_server import make_server\nimport os\n\
        def app(environ, start):\n    start('200 OK', [])\n    return [greeting.TEXT]\nmake_server('', int(os.environ['PORT']), app).serve_forever()\n";
    let files: [(&str, &[u8]); 2] = [("main.py", app), ("wheels/greeting-1.0-py3-none-any.whl", &wheel)];
    let built = engine.image("main", "app.zip", &zip(&files)).await;
    is(&built, Kind::Python, HealthCheck::Tcp);
    assert_eq!(engine.start(built.id()).get("/", "").2, "from a wheel");
}

#[tokio::test(flavor = "multi_thread")]
async fn static_files_are_served_as_browsers_expect() {
    let engine = Engine::for_tests();
    let files: [(&str, &[u8]); 7] = [
        ("site/index.html", b"<h1>home</h1>"),
        ("site/docs/index.html", b"<h1>docs</h1>"),
        ("site/app.js", b"0123456789"),
        ("site/404.html", b"<h1>nothing here</h1>"),
        ("site/.env", b"SECRET=1"),
        ("site/.well-known/security.txt", b"mail us"),
        ("site/logo.svg", b"<svg/>"),
    ];
    let built = engine.image("site", "site.tar.gz", &tar_gz(&files)).await;
    is(&built, Kind::Static, HealthCheck::Http { path: "/".to_owned() });
    let container = engine.start(built.id());
    let (status, head, body) = container.get("/", "");
    assert!(status == 200 && head.contains("content-type: text/html") && body == "<h1>home</h1>", "{head} {body}");
    assert_eq!(container.get("/docs/", "").2, "<h1>docs</h1>");
    assert_eq!(container.get("/docs", "").0, 301);
    let (status, _, body) = container.get("/nowhere", "");
    assert!(status == 404 && body == "<h1>nothing here</h1>", "{status} {body}");
    let (status, head, body) = container.get("/app.js", "Range: bytes=2-4\r\n");
    assert!(
        status == 206 && head.contains("content-range: bytes 2-4/10") && head.contains("text/javascript") && body == "234",
        "{head}"
    );
    assert!(container.get("/logo.svg", "").1.contains("image/svg+xml"));
    assert!(matches!(container.get("/.env", "").0, 403 | 404), "a hidden file is served");
    assert_eq!(container.get("/.well-known/security.txt", "").2, "mail us");
    let (_, head, _) = container.get("/app.js", "");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("etag").to_owned();
    assert_eq!(container.get("/app.js", &format!("If-None-Match: {tag}\r\n")).0, 304);
    assert!(container.stops_on_term(), "SIGTERM does not reach it");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_once_wrong_says_why_and_leaves_nothing() {
    let engine = Engine::for_tests();
    let mut other_machine = binary("-static");
    other_machine[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    let whole = tar_gz(&[("index.html", &[b'x'; 5000])]);
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("control.tar.gz", tar_gz(&[("control", CONTROL)]), "not executable"),
        ("server", other_machine, "is built for"),
        ("app.jar", zip(&[("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n")]), "no start command found"),
        ("app.war", zip(&[("WEBINF/web.xml", b"<web-app/>")]), "no start command found"),
        ("app.tar.gz", tar_gz(&[("wsgi.py", b"print('hi')\n")]), "neither \"application\" nor \"app\""),
        ("site.tar.gz", whole[..whole.len() - 4].to_vec(), "truncated"),
    ];
    for (name, content, part) in table {
        let (outcome, _) = engine.build("wrong", name, &content).await;
        let why = refusal(outcome).why;
        assert!(why.contains(part), "{name}: {why}");
    }
    assert!(engine.try_run(&["image", "inspect", "default/wrong:b1"]).is_err(), "an image came of it");
}
