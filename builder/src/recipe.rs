//! What an image of each kind is: its ground, how it starts, and what proves that it serves.

use dinp_common::health::HealthCheck;
use dinp_common::kind::{Base, Kind};

use crate::detect::Linkage;

/// The port an app is told to listen on where nobody says another.
const PORT: &str = "8080";

/// Which servlet API a web app is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WarApi {
    Javax,
    Jakarta,
}

/// An image's make-up, apart from the files of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    pub kind: Kind,
    /// `None` stands on nothing.
    pub base: Option<Base>,
    /// Program and arguments.
    pub start: Vec<String>,
    pub env: Vec<(String, String)>,
    pub health: HealthCheck,
    /// What people should know, for the build's log.
    pub notes: Vec<String>,
}

impl Recipe {
    fn new(kind: Kind, start: &[&str]) -> Self {
        Self {
            kind,
            base: kind.base(),
            start: start.iter().map(|word| (*word).to_owned()).collect(),
            env: vec![("PORT".to_owned(), PORT.to_owned())],
            // An app may well answer / with 404 or a redirect to a log-in; a port that accepts is all it owes.
            health: HealthCheck::Tcp,
            notes: Vec::new(),
        }
    }

    fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    fn note(mut self, text: &str) -> Self {
        self.notes.push(text.to_owned());
        self
    }

    pub(crate) fn control() -> Self {
        Self::new(Kind::Control, &["/app/control", "start", PORT])
    }

    pub(crate) fn binary(start: Vec<String>, linkage: Linkage) -> Self {
        let base = match linkage {
            Linkage::Static => None,
            Linkage::Dynamic { .. } => Some(Base::Debian),
        };
        Self { start, base, ..Self::new(Kind::Binary, &[]) }
    }

    pub(crate) fn jar() -> Self {
        // A share of the instance's memory rather than of the machine's; the rest is threads, code and buffers.
        Self::new(Kind::Jar, &["java", "-XX:MaxRAMPercentage=70", "-XX:+ExitOnOutOfMemoryError", "-jar", "/app/app.jar"])
    }

    pub(crate) fn war(api: WarApi) -> Self {
        match api {
            WarApi::Jakarta => Self::new(Kind::War, &["serve-war"]),
            WarApi::Javax => Self::new(Kind::War, &["serve-war", "--javax"]).note(
                "it uses javax.servlet, which Tomcat 10 no longer has: converted to jakarta.servlet each time an instance starts",
            ),
        }
    }

    pub(crate) fn python_wsgi(callable: &str, libraries: Option<String>) -> Self {
        // gunicorn binds to 0.0.0.0:$PORT by itself. Threads keep one slow request from holding up the others, and
        // /dev/shm keeps its heartbeat file off disks that stall.
        let app = format!("wsgi:{callable}");
        let start = ["gunicorn", "--threads", "8", "--keep-alive", "75", "--worker-tmp-dir", "/dev/shm", &app];
        Self::new(Kind::Python, &start).python(libraries).note(&format!("gunicorn serves \"{callable}\" of wsgi.py"))
    }

    pub(crate) fn python_main(libraries: Option<String>) -> Self {
        Self::new(Kind::Python, &["python3", "main.py"])
            .python(libraries)
            .note("main.py is started as it is; it must listen on 0.0.0.0:$PORT")
    }

    fn python(self, libraries: Option<String>) -> Self {
        // Output that waits in a buffer is lost when the process is killed.
        let this = self.env("PYTHONUNBUFFERED", "1");
        match libraries {
            Some(path) => this.note(&format!("libraries: {path}")).env("PYTHONPATH", &path),
            None => this,
        }
    }

    pub(crate) fn web(has_index: bool) -> Self {
        let this = Self::new(Kind::Static, &["serve-static"]);
        if has_index {
            Self { health: HealthCheck::Http { path: "/".to_owned() }, ..this }
        } else {
            this.note("there is no index.html: / answers 404")
        }
    }
}
