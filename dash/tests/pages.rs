//! The pages through their front door, on a fake API: who may see and change what, and what each state says.

mod fake;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use dinp_client::Client;
use dinp_common::deploy::DeployKind;
use dinp_common::name::AppName;
use dinp_common::token::TokenKind;
use dinp_dash::DashConfig;
use futures_util::StreamExt;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What a stream is given before a test calls it stuck.
const SOON: Duration = Duration::from_secs(10);

struct Site {
    pages: Router,
    world: fake::World,
    shutdown: CancellationToken,
    cookie: String,
}

fn site() -> Site {
    site_with(DashConfig::default())
}

fn site_with(config: DashConfig) -> Site {
    let world = fake::World::new(fake::Pace(Duration::from_millis(1)));
    let api = fake::router(world.clone());
    let shutdown = CancellationToken::new();
    let pages = dinp_dash::router(api.clone(), Client::in_memory(api, None), config, shutdown.clone());
    let cookie = format!("dinp_session={}", world.token(TokenKind::Session, 7));
    Site { pages, world, shutdown, cookie }
}

impl Site {
    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Response<Body> {
        let request = request.body(body.into()).expect("a request");
        self.pages.clone().oneshot(request).await.expect("infallible")
    }

    /// A page, as somebody who is signed in sees it.
    async fn page(&self, path: &str) -> (StatusCode, String) {
        let answer =
            self.send(Request::get(path).header(HOST, "localhost:8081").header(COOKIE, &self.cookie), Body::empty()).await;
        (answer.status(), text(answer).await)
    }

    /// A form sent by one of our own pages.
    async fn form(&self, path: &str, fields: &str) -> Response<Body> {
        let request = own_page(Method::POST, path).header(COOKIE, &self.cookie);
        self.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"), fields.to_owned()).await
    }
}

fn own_page(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(HOST, "localhost:8081").header("sec-fetch-site", "same-origin")
}

async fn text(answer: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn location(answer: &Response<Body>) -> &str {
    answer.headers().get(LOCATION).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_change_is_refused_unless_a_page_of_this_origin_asks() {
    let site = site();
    let app = site.world.run_app("shop", 1);
    let deploys = |site: &Site| site.world.lock().apps[&app].deploys.len();
    for (name, value) in
        [("sec-fetch-site", "same-site"), ("sec-fetch-site", "cross-site"), ("origin", "http://shop.localhost:8080")]
    {
        let request = Request::post("/apps/shop/restart").header(HOST, "localhost:8081").header(COOKIE, &site.cookie);
        let answer = site.send(request.header(name, value), Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(text(answer).await.contains("another site"), "{name}: {value}");
        assert_eq!(deploys(&site), 0, "{name}: {value}");
    }
    assert_eq!(site.form("/apps/shop/restart", "").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(deploys(&site), 1);
}

#[tokio::test]
async fn nothing_is_served_below_the_apps_domain() {
    let site = site_with(DashConfig { domain: "apps.example.com".into(), hosts: vec!["paas.example.com".into()], https: false });
    let ask = async |host: &str| site.send(Request::get("/login").header(HOST, host), Body::empty()).await;
    for host in ["shop.apps.example.com", "evil.example", "shop.apps.example.com:8081"] {
        let answer = ask(host).await;
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!text(answer).await.contains("<form"), "{host}");
    }
    for host in ["paas.example.com", "127.0.0.1:8081", "[::1]:8081", "localhost"] {
        assert_eq!(ask(host).await.status(), StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_refusals_too() {
    let site = site();
    for path in ["/login", "/apps", "/nothing", "/apps/nothing"] {
        let answer = site.send(Request::get(path).header(HOST, "localhost"), Body::empty()).await;
        let has = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
        assert!(has("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!has("content-security-policy").contains("unsafe"), "{path}");
        assert_eq!((has("x-content-type-options"), has("cache-control")), ("nosniff".into(), "no-store".into()), "{path}");
        let page = text(answer).await;
        assert!(!page.contains(" style=") && !page.contains("<script>") && !page.contains(" onclick"), "{path}");
    }
}

#[tokio::test]
async fn a_link_signs_in_once_and_reading_its_page_uses_nothing_up() {
    let site = site();
    site.world.run_app("hello", 1);
    let link = site.world.token(TokenKind::Link, 1);
    let stranger = |request: http::request::Builder| request.header(HOST, "localhost:8081");
    for path in [format!("/setup?token={link}"), format!("/link/{link}")] {
        let answer = site.send(stranger(Request::get(path)), Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().get(SET_COOKIE).is_none());
    }
    let submit = async || {
        let request = own_page(Method::POST, "/setup").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request, format!("token={link}")).await
    };
    let answer = submit().await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/apps/hello?welcome=1"));
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let again = submit().await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    assert!(again.headers().get(SET_COOKIE).is_none());
    assert!(text(again).await.contains("dinp open --dashboard"));
}

#[tokio::test]
async fn without_the_sample_a_link_lands_on_the_apps() {
    let site = site();
    let link = site.world.token(TokenKind::Link, 1);
    let request = own_page(Method::POST, "/setup").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(location(&site.send(request, format!("token={link}")).await), "/apps");
}

#[tokio::test]
async fn who_is_not_signed_in_is_asked_to_and_comes_back() {
    let site = site();
    let cookies = ["", "dinp_session=nonsense", "dinp_session=dinp_ses_0000"];
    for cookie in cookies {
        let request = Request::get("/apps/shop/logs?instance=abc").header(HOST, "localhost").header(COOKIE, cookie);
        let answer = site.send(request, Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&answer), "/login?next=/apps/shop/logs%3Finstance%3Dabc", "{cookie:?}");
    }
    let token = site.world.token(TokenKind::Personal, 9);
    let request = own_page(Method::POST, "/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = site.send(request, format!("token={token}&next=%2Fapps%2Fshop")).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/apps/shop"));
    let request = own_page(Method::POST, "/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = site.send(request, "token=wrong").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(text(answer).await.contains("not known"));
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_ends_here() {
    let site = site();
    site.world.lock().tokens.clear();
    let (status, _) = site.page("/apps").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let stream = Request::get("/ui/stream?page=apps").header(HOST, "localhost").header(COOKIE, &site.cookie);
    assert_eq!(site.send(stream, Body::empty()).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_app_that_is_not_there_has_neighbours() {
    let site = site();
    site.world.run_app("shop-api", 1);
    site.world.run_app("billing", 1);
    let (status, page) = site.page("/apps/shop-ap").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("Did you mean") && page.contains("/apps/shop-api\"") && !page.contains("/apps/billing\""), "{page}");
}

#[tokio::test]
async fn lists_say_what_belongs_into_them() {
    let site = site();
    assert!(site.page("/apps").await.1.contains("No apps yet."));
    site.world.run_app("shop", 2);
    let (_, page) = site.page("/apps").await;
    assert!(page.contains("Running") && page.contains("2/2") && page.contains("http://shop.localhost:8080"), "{page}");
    assert!(site.page("/apps?q=zzz").await.1.contains("No app has"));
    assert!(site.page("/apps/shop/events").await.1.contains("Nothing here"));
}

#[tokio::test]
async fn deleting_needs_the_name() {
    let site = site();
    let app = site.world.run_app("shop", 1);
    let answer = site.form("/apps/shop/delete", "confirm=shopp").await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(answer).await.contains("Nothing was changed"));
    assert!(site.world.lock().apps[&app].deploys.is_empty());
    let answer = site.form("/apps/shop/delete", "confirm=shop").await;
    assert_eq!(location(&answer), "/apps/shop/deploys/1");
    assert_eq!(site.world.lock().apps[&app].deploys[0].kind, DeployKind::Delete);
}

#[tokio::test]
async fn scaling_says_what_happens_and_how_to_take_it_back() {
    let site = site();
    site.world.run_app("shop", 1);
    assert_eq!(location(&site.form("/apps/shop/scale", "instances=3&before=1").await), "/apps/shop/deploys/1");
    let request = own_page(Method::POST, "/apps/shop/scale").header(COOKIE, &site.cookie).header("hx-request", "true");
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let toast = text(site.send(request, "instances=2&before=3").await).await;
    assert!(toast.contains("hx-target=\"#toasts\"") && toast.contains("2 instances") && toast.contains("value=\"3\""), "{toast}");
    for bad in ["instances=-1", "instances=10000", "instances=", "instances=2.5"] {
        assert_eq!(site.form("/apps/shop/scale", bad).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    // What the server refuses arrives as its own words.
    let refused = site.form("/apps/shop/scale", "instances=100").await;
    assert!(text(refused).await.contains("do not fit"));
}

#[tokio::test]
async fn an_upload_goes_through_and_names_its_deploy() {
    let site = site();
    let put = |path: &str| own_page(Method::PUT, path).header(COOKIE, &site.cookie);
    let chunks = futures_util::stream::iter((0..64).map(|n| Ok::<_, std::io::Error>(vec![n as u8; 65_536])));
    let answer = site.send(put("/ui/apps/shop/artifact?file_name=a%20b%26c.war"), Body::from_stream(chunks)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(text(answer).await, r#"{"location":"/apps/shop/deploys/1"}"#);
    let app = AppName::parse("shop").expect("a name");
    let build = site.world.lock().apps[&app].deploys[0].build.clone().expect("a build");
    assert_eq!((build.file_name.as_str(), build.artifact_bytes), ("a b&c.war", 64 * 65_536));
    let refused = site.send(put("/ui/apps/shop/artifact?file_name=x"), Body::empty()).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(refused).await.contains("The file is empty."));
}

#[tokio::test]
async fn the_api_is_on_the_same_origin_and_takes_no_cookie() {
    let site = site();
    site.world.run_app("shop", 1);
    let version = site.send(Request::get("/version"), Body::empty()).await;
    assert_eq!(version.status(), StatusCode::OK);
    let with_cookie = site.send(Request::get("/v1/apps/shop").header(COOKIE, &site.cookie), Body::empty()).await;
    assert_eq!(with_cookie.status(), StatusCode::UNAUTHORIZED);
    let token = site.world.token(TokenKind::Personal, 9);
    let bearer = Request::get("/v1/apps/shop").header("authorization", format!("Bearer {token}"));
    assert!(text(site.send(bearer, Body::empty()).await).await.contains("\"shop\""));
}

#[tokio::test]
async fn names_are_explained_before_a_file_is_sent() {
    let site = site();
    site.world.run_app("shop", 1);
    let ask = async |query: &str| site.page(&format!("/ui/name?{query}")).await.1;
    assert!(ask("name=&file_name=Fresh-2.3.war").await.contains("A new app at http://fresh.localhost:8080"));
    assert!(ask("name=shop").await.contains("A new version of shop, which runs v1."));
    let bad = ask("name=No+Good").await;
    assert!(bad.contains("\"ok\":false") && bad.contains("lowercase"), "{bad}");
    assert!(ask("name=dashboard").await.contains("reserved"));
}

/// Reads the stream until it has sent `wanted`.
async fn read_until(stream: &mut axum::body::BodyDataStream, wanted: &str) -> String {
    let mut got = String::new();
    let read = async {
        while !got.contains(wanted) {
            let chunk = stream.next().await.expect("the stream goes on").expect("a chunk");
            got.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    if tokio::time::timeout(SOON, read).await.is_err() {
        panic!("never sent {wanted:?}, but: {got}");
    }
    got
}

#[tokio::test]
async fn a_stream_sends_what_changed_and_ends_at_shutdown() {
    let site = site();
    let app = site.world.run_app("shop", 1);
    let request = Request::get("/ui/stream?page=overview&app=shop").header(HOST, "localhost").header(COOKIE, &site.cookie);
    let answer = site.send(request, Body::empty()).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
    let mut stream = answer.into_body().into_data_stream();
    let first = read_until(&mut stream, "</title>").await;
    for part in ["#head", "#instances", "#now", "#events", "#scale"] {
        assert!(first.contains(&format!("hx-target=\"{part}\" hx-swap=\"outerMorph\"")), "{part} is missing: {first}");
    }
    let begun = site.world.begin(&app, DeployKind::Scale, "scale to 4", None);
    tokio::spawn(site.world.clone().roll_out(app, begun.number, 4));
    let second = read_until(&mut stream, "4 of 4 instances running").await;
    // Image and memory are as they were; only what differs is sent.
    assert!(!second.contains("hx-target=\"#notices\""), "{second}");
    site.shutdown.cancel();
    let rest = async { while stream.next().await.is_some() {} };
    assert!(tokio::time::timeout(SOON, rest).await.is_ok(), "the stream outlives the shutdown");
}

#[tokio::test]
async fn many_changes_are_few_messages() {
    let site = site();
    let app = site.world.run_app("shop", 1);
    let request = Request::get("/ui/stream?page=overview&app=shop").header(HOST, "localhost").header(COOKIE, &site.cookie);
    let mut stream = site.send(request, Body::empty()).await.into_body().into_data_stream();
    read_until(&mut stream, "</title>").await;
    let began = std::time::Instant::now();
    for n in 0..400 {
        site.world.event(&app, dinp_common::event::Severity::Info, "noise", format!("event {n}."));
        tokio::task::yield_now().await;
    }
    let got = read_until(&mut stream, "event 399.").await;
    let allowed = began.elapsed().as_millis() / 500 + 2;
    let messages = got.matches("</title>").count() as u128;
    assert!(messages <= allowed, "{messages} messages in {:?}", began.elapsed());
}

#[tokio::test]
async fn assets_are_packed_and_kept() {
    let site = site();
    let (_, page) = site.page("/apps").await;
    let path = page.split('"').find(|part| part.ends_with("/app.js")).expect("a script");
    let ask = async |encoding: &str| {
        site.send(Request::get(path).header(HOST, "localhost").header("accept-encoding", encoding), Body::empty()).await
    };
    let headers = |answer: &Response<Body>| -> HeaderMap { answer.headers().clone() };
    let packed = ask("br, gzip").await;
    assert_eq!(headers(&packed)["content-encoding"], "gzip");
    assert!(headers(&packed)["cache-control"].to_str().expect("text").contains("immutable"));
    let plain = ask("identity").await;
    assert!(headers(&plain).get("content-encoding").is_none());
    assert!(text(plain).await.contains("htmx"));
}
