//! What a list or a stream is asked for.

use dinp_common::instance::InstanceId;
use dinp_common::name::AppName;

/// Which page of a list.
#[derive(Debug, Clone, Default)]
pub struct PageQuery {
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// A part of the name.
    pub q: Option<String>,
}

/// Which lines of an app's log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Lines from before now, of each instance.
    pub tail: Option<u32>,
    /// Go on with what is written from now on.
    pub follow: bool,
    pub instance: Option<InstanceId>,
}

/// Which events: newest first, at most `limit`, with an id below `before` or above `after`.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    pub app: Option<AppName>,
    pub limit: Option<u32>,
    pub before: Option<u64>,
    pub after: Option<u64>,
}

impl PageQuery {
    pub(crate) fn path(&self, path: &str) -> String {
        let limit = self.limit.map(|n| n.to_string());
        with_query(path, &[("limit", limit.as_deref()), ("cursor", self.cursor.as_deref()), ("q", self.q.as_deref())])
    }
}

impl LogQuery {
    pub(crate) fn path(&self, app: &AppName) -> String {
        let tail = self.tail.map(|n| n.to_string());
        let follow = self.follow.then_some("true");
        let instance = self.instance.as_ref().map(InstanceId::as_str);
        with_query(&format!("/v1/apps/{app}/logs"), &[("tail", tail.as_deref()), ("follow", follow), ("instance", instance)])
    }
}

impl EventQuery {
    pub(crate) fn path(&self, follow: bool) -> String {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let (limit, before, after) = (number(self.limit.map(u64::from)), number(self.before), number(self.after));
        let pairs = [
            ("app", self.app.as_ref().map(AppName::as_str)),
            ("limit", limit.as_deref()),
            ("before", before.as_deref()),
            ("after", after.as_deref()),
            ("follow", follow.then_some("true")),
        ];
        with_query("/v1/events", &pairs)
    }
}

/// Puts the pairs that have a value behind `path`, encoded.
pub(crate) fn with_query(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_break_out_of_a_query() {
        let path = with_query("/v1/artifacts", &[("file_name", Some("a b&c=ü#.war")), ("kind", None)]);
        assert_eq!(path, "/v1/artifacts?file_name=a+b%26c%3D%C3%BC%23.war");
        assert_eq!(PageQuery::default().path("/v1/apps"), "/v1/apps");
    }
}
