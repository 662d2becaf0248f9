//! Scripts, styles and icons: in the binary, compressed before, named by their content so that browsers keep them.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, StatusCode};

const VERSION: &str = env!("DINP_DASH_ASSETS");
const FOR_EVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    kind: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

macro_rules! bundle {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/", $name))
    };
}

fn find(name: &str) -> Option<Asset> {
    let icon = |plain| Asset { kind: "image/svg+xml", plain, gzip: None };
    Some(match name {
        "app.js" => Asset { kind: "text/javascript; charset=utf-8", plain: bundle!("app.js"), gzip: Some(bundle!("app.js.gz")) },
        "app.css" => Asset { kind: "text/css; charset=utf-8", plain: bundle!("app.css"), gzip: Some(bundle!("app.css.gz")) },
        "icon-ok.svg" => icon(include_bytes!("../web/icons/ok.svg")),
        "icon-busy.svg" => icon(include_bytes!("../web/icons/busy.svg")),
        "icon-bad.svg" => icon(include_bytes!("../web/icons/bad.svg")),
        _ => return None,
    })
}

/// The address of an asset.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{VERSION}/{name}")
}

/// `GET /assets/{version}/{name}`. An old version's page gets the new file, kept for that page only.
pub(crate) async fn serve(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = find(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let keep = if version == VERSION { FOR_EVER } else { "no-store" };
    let takes_gzip = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let head = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, keep), (VARY, "accept-encoding")];
    match asset.gzip {
        Some(packed) if takes_gzip => (head, [(CONTENT_ENCODING, "gzip")], packed).into_response(),
        _ => (head, asset.plain).into_response(),
    }
}
