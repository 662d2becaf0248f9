//! Checks that the scripts and styles have been bundled, and names them by their content.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

fn main() {
    let dist = Path::new("web/dist");
    let mut hasher = DefaultHasher::new();
    for name in ["app.js", "app.js.gz", "app.css", "app.css.gz"] {
        let path = dist.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        match std::fs::read(&path) {
            Ok(content) => content.hash(&mut hasher),
            Err(error) => {
                println!(
                    "cargo::error=the dashboard's {} is not there ({error}): run ./deploy/up or (cd dash/web && npm ci && npm run build)",
                    path.display()
                );
                std::process::exit(1);
            }
        }
    }
    println!("cargo::rustc-env=DINP_DASH_ASSETS={:016x}", hasher.finish());
}
