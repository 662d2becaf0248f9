//! The credentials a machine gives to its own processes and to whoever started them.

use std::path::Path;

use anyhow::{Context as _, Result};
use dinp_common::name::NodeName;
use dinp_common::token::{Token, TokenKind};
use dinp_store::{NewToken, Store};

use super::layout::Layout;

/// Local credentials end with the files that hold them, not with a date.
const NEVER: &str = "9999-01-01T00:00:00Z";

/// The name of the file with the token of people on this machine.
pub const ADMIN: &str = "admin";
pub const AGENT: &str = "agent";
pub const BUILDER: &str = "builder";

/// Makes sure that `folder` holds a token for each of this machine's own callers and that the store knows them: one
/// that it does not know, as after a new state, is made anew.
pub async fn ensure(store: &Store, folder: &Path, node: &NodeName) -> Result<()> {
    for (file, kind, name) in [
        (ADMIN, TokenKind::Personal, "dinp up"),
        (AGENT, TokenKind::Agent, node.as_str()),
        (BUILDER, TokenKind::Builder, "builder"),
    ] {
        let path = folder.join(file);
        if let Some(token) = read(&path)
            && store.token_find(&token.hash()).await?.is_some()
        {
            continue;
        }
        let token = Token::from_random(kind, rand::random());
        let row = NewToken {
            hash: token.hash(),
            id: format!("local-{file}-{}", &token.hash()[..8]),
            kind,
            name: name.to_owned(),
            user: "admin".to_owned(),
            expires_at: NEVER.to_owned(),
        };
        store.token_insert(&row).await.with_context(|| format!("keeping the {file} token"))?;
        Layout::write_private(&path, token.expose()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

pub fn read(path: &Path) -> Option<Token> {
    let text = std::fs::read_to_string(path).ok()?;
    Token::parse(text.trim()).map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_stay_until_the_store_forgets_them() {
        let folder = tempfile::tempdir().expect("folder");
        let node = NodeName::parse("here").expect("a name");
        let open = async |file: &str| {
            let url = format!("sqlite:{}", folder.path().join(file).display()).parse().expect("a URL");
            Store::open(&url).await.expect("a store")
        };
        let store = open("a.db").await;
        ensure(&store, folder.path(), &node).await.expect("made");
        let first = read(&folder.path().join(ADMIN)).expect("a token");
        ensure(&store, folder.path(), &node).await.expect("kept");
        assert_eq!(read(&folder.path().join(ADMIN)), Some(first.clone()));
        ensure(&open("b.db").await, folder.path(), &node).await.expect("made for a new store");
        assert_ne!(read(&folder.path().join(ADMIN)), Some(first));
    }
}
