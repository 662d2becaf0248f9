//! Who this process is, as the platform told it in its environment.

use std::env;

#[derive(Debug)]
pub struct Identity {
    pub app: String,
    pub release: String,
    pub instance: String,
    pub index: String,
    pub node: String,
}

impl Identity {
    pub fn from_environment() -> Self {
        let read = |key: &str, otherwise: &str| env::var(key).unwrap_or_else(|_| otherwise.to_owned());
        let release = read("RELEASE", "v0");
        Self {
            app: read("APP_NAME", "sample"),
            release: if release.starts_with('v') { release } else { format!("v{release}") },
            instance: read("INSTANCE_ID", "none"),
            index: read("INSTANCE_INDEX", "0"),
            node: read("NODE_NAME", "none"),
        }
    }
}
