//! What the router itself answers, in plain words.

use std::borrow::Cow;

use crate::head::BadHead;

/// Seconds after which a client may try an app again that has no healthy instance.
const RETRY_SECONDS: u32 = 5;

/// An answer of the router's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    BadRequest(BadHead),
    /// No route has this host.
    UnknownHost(String),
    /// The router has never had a table.
    NoTable,
    Stopped {
        app: String,
    },
    NoInstance {
        app: String,
    },
    /// No endpoint accepted the request.
    Unreachable {
        app: String,
    },
    /// The connection to the endpoint ended, or what came was not HTTP.
    Broken {
        app: String,
    },
    TimedOut {
        app: String,
    },
}

/// A page ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    pub status: u16,
    pub content_type: &'static str,
    /// Seconds.
    pub retry_after: Option<u32>,
    pub body: String,
}

impl Page {
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::UnknownHost(_) => 404,
            Self::NoTable | Self::Stopped { .. } | Self::NoInstance { .. } => 503,
            Self::Unreachable { .. } | Self::Broken { .. } => 502,
            Self::TimedOut { .. } => 504,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "This request cannot be understood",
            Self::UnknownHost(_) => "No app answers at this address",
            Self::NoTable => "Not ready yet",
            Self::Stopped { .. } => "This app is stopped",
            Self::NoInstance { .. } => "This app is not available right now",
            Self::Unreachable { .. } | Self::Broken { .. } => "This app did not answer",
            Self::TimedOut { .. } => "This app took too long to answer",
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest(why) => why.to_string().into(),
            Self::UnknownHost(host) => format!("There is no app at {host}. Check the address for a typing error.").into(),
            Self::NoTable => "The router has not received its routes yet. Try again in a few seconds.".into(),
            Self::Stopped { app } => format!("{app} was stopped by its owner.").into(),
            Self::NoInstance { app } => format!("No instance of {app} is healthy. Try again in a few seconds.").into(),
            Self::Unreachable { app } => {
                format!("No instance of {app} accepted the connection. Try again in a few seconds.").into()
            }
            Self::Broken { app } => format!("The connection to {app} ended before its answer was complete.").into(),
            Self::TimedOut { app } => format!("{app} accepted the request and sent no answer in time.").into(),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        matches!(self, Self::NoTable | Self::NoInstance { .. } | Self::Unreachable { .. }).then_some(RETRY_SECONDS)
    }

    /// The page as HTML for browsers, as text for everything else.
    pub fn render(&self, html: bool) -> Rendered {
        let (status, title, detail) = (self.status(), self.title(), self.detail());
        let (content_type, body) = if html {
            ("text/html; charset=utf-8", document(status, title, &escape(&detail)))
        } else {
            ("text/plain; charset=utf-8", format!("{status}: {title}. {detail}\n"))
        };
        Rendered { status, content_type, retry_after: self.retry_after(), body }
    }
}

fn document(status: u16, title: &str, detail: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n\
         :root {{ color-scheme: light dark; }}\n\
         body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto 0; padding: 0 1.5rem; }}\n\
         h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }}\np {{ margin: 0 0 .5rem; }}\nsmall {{ opacity: .75; }}\n\
         </style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n<p><small>{status}</small></p>\n</main>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_says_what_is_wrong_and_when_to_come_back() {
        let app = || "shop".to_owned();
        let cases = [
            (Page::BadRequest(BadHead::NoHost), 400, None, "the request has no Host field"),
            (
                Page::UnknownHost("x.localhost".into()),
                404,
                None,
                "No app answers at this address. There is no app at x.localhost.",
            ),
            (Page::NoTable, 503, Some(5), "has not received its routes yet"),
            (Page::Stopped { app: app() }, 503, None, "shop was stopped by its owner"),
            (Page::NoInstance { app: app() }, 503, Some(5), "No instance of shop is healthy"),
            (Page::Unreachable { app: app() }, 502, Some(5), "No instance of shop accepted the connection"),
            (Page::Broken { app: app() }, 502, None, "ended before its answer was complete"),
            (Page::TimedOut { app: app() }, 504, None, "sent no answer in time"),
        ];
        for (page, status, retry_after, words) in cases {
            for html in [false, true] {
                let rendered = page.render(html);
                assert_eq!((rendered.status, rendered.retry_after), (status, retry_after), "{page:?}");
                assert!(html || rendered.body.contains(words), "{}", rendered.body);
                assert_eq!(rendered.body.starts_with("<!doctype html>"), html);
            }
        }
    }

    #[test]
    fn what_a_client_sent_cannot_become_markup() {
        let page = Page::UnknownHost("<script>\"&".into()).render(true);
        assert!(page.body.contains("&lt;script&gt;&quot;&amp;") && !page.body.contains("<script>"));
    }
}
