//! What an artifact is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kinds of artifact DINP can run. The text form is what `--kind` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An archive with an executable `control`, started as `control start 8080`.
    Control,
    /// One Linux executable.
    Binary,
    /// A Java web application archive.
    War,
    /// A runnable Java archive.
    Jar,
    /// An archive with `wsgi.py` or `main.py`.
    Python,
    /// A folder or archive of files to serve.
    Static,
    /// An image somebody else made.
    Image,
}

impl Kind {
    pub const ALL: [Kind; 7] = [Kind::Control, Kind::Binary, Kind::War, Kind::Jar, Kind::Python, Kind::Static, Kind::Image];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Control => "control",
            Kind::Binary => "binary",
            Kind::War => "war",
            Kind::Jar => "jar",
            Kind::Python => "python",
            Kind::Static => "static",
            Kind::Image => "image",
        }
    }

    /// The kind in words, as the CLI and the dashboard say it.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Control => "archive with a control script",
            Kind::Binary => "Linux binary",
            Kind::War => "Java web app (.war)",
            Kind::Jar => "runnable Java archive (.jar)",
            Kind::Python => "Python app",
            Kind::Static => "static files",
            Kind::Image => "image",
        }
    }

    /// The base image a kind is assembled on; `None` stands on nothing (an image brings its own).
    pub fn base(self) -> Option<Base> {
        match self {
            Kind::Control | Kind::Binary => Some(Base::Debian),
            Kind::War | Kind::Jar => Some(Base::Java),
            Kind::Python => Some(Base::Python),
            Kind::Static => Some(Base::Web),
            Kind::Image => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = crate::name::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            crate::name::InvalidName(format!("\"{text}\" is not a kind; the kinds are {}", all.join(", ")))
        })
    }
}

/// The base images DINP can make for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// glibc, `sh`, certificates.
    Debian,
    /// A Java 17 runtime with Tomcat 10.
    Java,
    /// Python 3 with gunicorn.
    Python,
    /// A static-file server.
    Web,
}

impl Base {
    pub const ALL: [Base; 4] = [Base::Debian, Base::Java, Base::Python, Base::Web];

    pub fn as_str(self) -> &'static str {
        match self {
            Base::Debian => "debian",
            Base::Java => "java",
            Base::Python => "python",
            Base::Web => "web",
        }
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Base {
    type Err = crate::name::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Base::ALL
            .into_iter()
            .find(|base| base.as_str() == text)
            .ok_or_else(|| crate::name::InvalidName(format!("\"{text}\" is not a base; the bases are debian, java, python, web")))
    }
}
