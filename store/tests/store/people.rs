//! Events, credentials, request keys, nodes and routers.

use dinp_common::deploy::DeployKind;
use dinp_common::instance::InstanceId;
use dinp_common::name::RouterId;
use dinp_common::node::NodeUse;
use dinp_common::plan::Change;
use dinp_common::rebalance::{Moving, Rebalance};
use dinp_common::token::TokenKind;
use dinp_store::{EVENT_DETAILS_KEPT, EVENTS_KEPT, Idempotency, Intent, NewToken, Origin, RequestKey, StoreError};

use crate::given::*;
use crate::on_both;

fn token(n: u8, kind: TokenKind) -> NewToken {
    NewToken {
        hash: format!("{n:064}"),
        id: format!("t{n}"),
        kind,
        name: "laptop".to_owned(),
        user: "ann".to_owned(),
        expires_at: "2027-01-01T00:00:00Z".to_owned(),
    }
}

fn key(principal: &str, key: &str) -> RequestKey {
    RequestKey { principal: principal.to_owned(), key: key.to_owned() }
}

on_both! {
    async fn the_timeline_pages_both_ways(db: Database) {
        for n in 1..=4 {
            let app = (n % 2 == 0).then_some("shop");
            assert_eq!(db.store.event_append(&note(&format!("event {n}"), app), "ann").await, Ok(n));
        }
        let list = async |app: Option<&str>, before, after, limit| {
            let app = app.map(name);
            let events = db.store.event_list(app.as_ref(), before, after, limit).await.expect("reads");
            events.iter().map(|event| event.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None, None, 3).await, [4, 3, 2]);
        assert_eq!(list(None, Some(3), None, 9).await, [2, 1]);
        assert_eq!(list(None, None, Some(1), 2).await, [2, 3]);
        assert_eq!(list(Some("shop"), None, None, 9).await, [4, 2]);
        assert_eq!(list(Some("shop"), None, Some(2), 9).await, [4]);
        let event = db.store.event_list(None, None, None, 1).await.expect("reads").remove(0);
        let given = note("event 4", Some("shop"));
        assert_eq!((event.severity, event.kind.as_str(), event.text, event.detail), (given.severity, given.kind, given.text, given.detail));
        assert_eq!((event.app.as_deref(), event.node.as_deref(), event.actor.as_str()), (Some("shop"), Some("n1"), "ann"));
        assert_eq!(event.instance, given.instance.map(String::from));
    }

    async fn the_timeline_is_bounded(db: Database) {
        db.store.event_append(&note("the first", None), "ann").await.expect("appends");
        db.by_hand(&format!("UPDATE counters SET value = {} WHERE name = 'event'", EVENT_DETAILS_KEPT + 198)).await;
        db.store.event_append(&note("the last but one", None), "ann").await.expect("appends");
        let details = async || {
            let events = db.store.event_list(None, None, None, 10).await.expect("reads");
            events.iter().map(|event| event.detail.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(details().await, [true, true]);
        db.store.event_append(&note("the last", None), "ann").await.expect("appends");
        assert_eq!(details().await, [true, true, false], "an old event keeps its sentence");
        db.by_hand(&format!("UPDATE counters SET value = {} WHERE name = 'event'", EVENTS_KEPT + 199)).await;
        db.store.event_append(&note("far on", None), "ann").await.expect("appends");
        assert_eq!(details().await, [true, false, false], "and goes in the end");
    }

    async fn tokens_are_kept_by_hash(db: Database) {
        for (n, kind) in (1..).zip(TokenKind::ALL) {
            db.store.token_insert(&token(n, kind)).await.expect("keeps");
        }
        let found = db.store.token_find(&token(4, TokenKind::Agent).hash).await.expect("reads").expect("is there");
        assert_eq!((found.id.as_str(), found.kind, found.name.as_str(), found.user.as_str()), ("t4", TokenKind::Agent, "laptop", "ann"));
        assert_eq!(found.expires_at, "2027-01-01T00:00:00Z");
        assert_eq!(db.store.token_find("nothing").await, Ok(None));
        assert_eq!(db.store.token_list().await.expect("reads").len(), 5);
        let twice = db.store.token_insert(&NewToken { id: "t9".to_owned(), ..token(4, TokenKind::Agent) }).await;
        assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
        assert_eq!(db.store.token_delete("t4").await, Ok(true));
        assert_eq!(db.store.token_delete("t4").await, Ok(false));
        assert_eq!(db.store.token_find(&token(4, TokenKind::Agent).hash).await, Ok(None));
    }

    async fn what_was_made_from_a_token_ends_with_it(db: Database) {
        let (personal, session, other) = (token(1, TokenKind::Personal), token(2, TokenKind::Session), token(3, TokenKind::Session));
        db.store.token_insert(&personal).await.expect("keeps");
        db.store.token_insert_from(&session, "t1").await.expect("keeps");
        db.store.token_insert_from(&other, "t9").await.expect("keeps");
        let origin = async |of: &NewToken| db.store.token_find(&of.hash).await.expect("reads").and_then(|row| row.origin);
        let known = Origin { id: "t1".to_owned(), expires_at: Some(personal.expires_at.clone()) };
        assert_eq!(origin(&session).await, Some(known));
        assert_eq!(origin(&other).await, Some(Origin { id: "t9".to_owned(), expires_at: None }), "it was gone already");
        assert_eq!(origin(&personal).await, None);
        assert_eq!(db.store.token_delete("t1").await, Ok(true));
        let left: Vec<String> = db.store.token_list().await.expect("reads").into_iter().map(|row| row.id).collect();
        assert_eq!(left, ["t3"]);
        assert_eq!(db.store.token_delete("t3").await, Ok(true));
        db.store.token_insert(&other).await.expect("keeps");
        assert_eq!(origin(&other).await, None, "nothing of the one before is left");
    }

    async fn a_link_is_used_once(db: Database) {
        let (link, personal) = (token(1, TokenKind::Link), token(2, TokenKind::Personal));
        db.store.token_insert(&link).await.expect("keeps");
        db.store.token_insert(&personal).await.expect("keeps");
        assert_eq!(db.store.link_use(&personal.hash).await, Ok(None), "an access token is no link");
        assert!(db.store.token_find(&personal.hash).await.expect("reads").is_some());
        let other = db.second().await;
        let uses: Vec<_> = (0..8)
            .map(|n| {
                let (store, hash) = (if n % 2 == 0 { db.store.clone() } else { other.clone() }, link.hash.clone());
                tokio::spawn(async move { store.link_use(&hash).await.expect("answers") })
            })
            .collect();
        let mut got = Vec::new();
        for one in uses {
            got.extend(one.await.expect("runs"));
        }
        assert_eq!(got.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["t1"]);
    }

    async fn a_request_is_done_once(db: Database) {
        let store = &db.store;
        let begin = async |k: &str, print: &str| store.idempotency_begin(&key("ann", k), print).await.expect("answers");
        assert_eq!(begin("k", "f").await, Idempotency::New);
        store.idempotency_finish(&key("ann", "k"), 202, "{\"n\":1}").await.expect("keeps");
        assert_eq!(begin("k", "f").await, Idempotency::Replay { status: 202, body: "{\"n\":1}".to_owned() });
        assert_eq!(begin("k", "g").await, Idempotency::Reused);
        assert_eq!(store.idempotency_begin(&key("bob", "k"), "g").await, Ok(Idempotency::New), "keys belong to people");
        assert_eq!(begin("l", "f").await, Idempotency::New);
        store.idempotency_forget(&key("ann", "l")).await.expect("forgets");
        assert_eq!(begin("l", "h").await, Idempotency::New);
        assert_eq!(begin("l", "h").await, Idempotency::New, "it failed, and could not be forgotten");
        db.by_hand("UPDATE counters SET value = 9999 WHERE name = 'idempotency'").await;
        assert_eq!(begin("m", "f").await, Idempotency::New);
        assert_eq!(begin("k", "g").await, Idempotency::New, "old keys go");
    }

    /// Whatever cuts a request off after its commit: its answer, its server, its database's answer.
    async fn a_request_that_began_a_deploy_is_found_again_and_not_repeated(db: Database) {
        let (store, k) = (&db.store, key("ann", "k"));
        assert_eq!(store.idempotency_begin(&k, "f").await, Ok(Idempotency::New));
        let wish = Intent { request: Some(k.clone()), create: true, ..intent("shop", DeployKind::Release) };
        let deploy = store.deploy_begin(wish.clone()).await.expect("begins");
        let begun = Idempotency::Begun { app: name("shop"), number: deploy.number };
        store.idempotency_forget(&k).await.expect("answers");
        assert_eq!(store.idempotency_begin(&k, "f").await, Ok(begun.clone()), "it changed something, so it is not forgotten");
        assert_eq!(db.second().await.idempotency_begin(&k, "f").await, Ok(begun), "whichever server is asked");
        assert_eq!(store.idempotency_begin(&k, "g").await, Ok(Idempotency::Reused));

        let refused = Intent { expect_revision: Some(99), request: Some(key("ann", "l")), ..wish.clone() };
        assert_eq!(store.idempotency_begin(&key("ann", "l"), "f").await, Ok(Idempotency::New));
        store.deploy_begin(refused).await.expect_err("another revision");
        assert_eq!(store.idempotency_begin(&key("ann", "l"), "f").await, Ok(Idempotency::New), "nothing was changed");

        let dropped = Intent { request: Some(key("ann", "never taken")), ..wish };
        store.deploy_begin(dropped).await.expect_err("nobody could find it again");
        assert_eq!(store.deploy_latest(&name("shop")).await.expect("reads").map(|latest| latest.number), Some(deploy.number));
    }

    async fn nodes_and_routers_are_recorded_once(db: Database) {
        let router = RouterId::parse("r1").expect("a name");
        assert_eq!(db.store.node_record(&node("n1")).await, Ok(true));
        db.store.node_use(&node("n1"), NodeUse::Cordoned, "ann").await.expect("cordons");
        assert_eq!(db.store.node_record(&node("n1")).await, Ok(false));
        assert!(db.store.desired_load().await.expect("reads").nodes[0].cordoned, "joining again changes nothing");
        let draining = db.store.node_use(&node("n1"), NodeUse::Draining, "ann").await.expect("drains");
        assert_eq!((draining.cordoned, draining.draining), (true, true), "a drained node takes nothing new");
        db.store.node_use(&node("n1"), NodeUse::Draining, "bob").await.expect("drains already");
        assert_eq!(db.store.node_get(&node("n1")).await, Ok(Some(draining)));
        assert_eq!(db.store.node_get(&node("n9")).await, Ok(None));
        db.store.node_use(&node("n1"), NodeUse::Open, "ann").await.expect("uncordons");
        assert!(!db.store.desired_load().await.expect("reads").nodes[0].draining);
        let events = db.store.event_list(None, None, None, 10).await.expect("reads");
        let said: Vec<_> = events.iter().rev().filter(|event| event.node.is_some()).map(|event| event.kind.as_str()).collect();
        assert_eq!(said, ["node_cordoned", "node_draining", "node_uncordoned"], "each once");
        assert!(!db.store.desired_load().await.expect("reads").nodes[0].cordoned);
        assert!(matches!(db.store.node_use(&node("n9"), NodeUse::Cordoned, "ann").await, Err(StoreError::NotFound { .. })));
        assert_eq!(db.store.router_record(&router).await, Ok(true));
        assert_eq!(db.store.router_record(&router).await, Ok(false));
        assert_eq!(db.store.router_forget(&router).await, Ok(true));
        assert_eq!(db.store.router_forget(&router).await, Ok(false));
        assert!(db.store.desired_load().await.expect("reads").routers.is_empty());
    }

    async fn a_rebalance_is_one_at_a_time_and_what_people_cancelled_no_leader_takes_up_again(db: Database) {
        let store = &db.store;
        assert_eq!(store.rebalance_last().await, Ok(None));
        assert_eq!(store.rebalance_cancel("ann").await, Ok(None), "none goes on");
        let (begun, new) = store.rebalance_begin("ann").await.expect("begins");
        assert_eq!((&begun, new), (&Rebalance::new(1, "ann"), true));
        assert_eq!(store.rebalance_begin("bob").await, Ok((begun.clone(), false)), "it goes on");

        let moving = Moving { instance: InstanceId::from_sequence(1), app: name("shop"), to: node("n2"), given_up: false };
        let later = Rebalance { moved: 2, still_ms: 70, moves: vec![moving], ..begun };
        let fence = leader(store).await;
        store.commit(&fence, &[Change::Rebalance(later.clone())]).await.expect("writes");
        assert_eq!(store.desired_load().await.expect("reads").rebalance, Some(later.clone()));

        let cancelled = store.rebalance_cancel("bob").await.expect("answers").expect("one went on");
        assert_eq!((cancelled.moved, cancelled.cancelled, cancelled.moves.len()), (2, true, 0));
        store.commit(&fence, &[Change::Rebalance(Rebalance { moved: 3, ..later })]).await.expect("writes");
        assert_eq!(store.rebalance_last().await, Ok(Some(cancelled)), "the leader had not heard of it");
        assert_eq!(store.rebalance_begin("ann").await.map(|(next, new)| (next.number, new)), Ok((2, true)));
        let events = store.event_list(None, None, None, 10).await.expect("reads");
        let said: Vec<_> = events.iter().rev().map(|event| (event.kind.as_str(), event.actor.as_str())).collect();
        assert_eq!(said, [("rebalance_begun", "ann"), ("rebalance_cancelled", "bob"), ("rebalance_begun", "ann")], "each once");
    }

    async fn facts_are_kept_by_name(db: Database) {
        assert_eq!(db.store.meta_get("x").await, Ok(None));
        db.store.meta_set("x", "1").await.expect("keeps");
        db.store.meta_set("x", "2").await.expect("keeps");
        assert_eq!(db.second().await.meta_get("x").await, Ok(Some("2".to_owned())));
    }
}

/// On SQLite there is one server, so a request another process began is over.
#[tokio::test]
async fn a_request_cut_off_by_a_crash_before_it_changed_anything_can_be_sent_again() {
    let db = crate::database::Database::sqlite().await;
    assert_eq!(db.store.idempotency_begin(&key("ann", "k"), "f").await, Ok(Idempotency::New));
    assert_eq!(db.second().await.idempotency_begin(&key("ann", "k"), "f").await, Ok(Idempotency::New));
}

/// On MySQL another server may still be at it.
#[tokio::test]
async fn a_request_that_another_server_began_is_not_begun_again() {
    let db = crate::database::Database::mariadb().await;
    assert_eq!(db.store.idempotency_begin(&key("ann", "k"), "f").await, Ok(Idempotency::New));
    let second = db.second().await;
    assert_eq!(second.idempotency_begin(&key("ann", "k"), "f").await, Ok(Idempotency::InProgress));
    assert_eq!(second.idempotency_begin(&key("ann", "k"), "g").await, Ok(Idempotency::Reused));
}
