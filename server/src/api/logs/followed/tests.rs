use dinp_common::name::NodeName;

use super::*;
use crate::explain::fixtures;

fn id() -> InstanceId {
    fixtures::instance_id()
}

fn line(text: &str) -> Heard {
    let (at, stderr) = (text[..2].to_owned(), text.ends_with("err"));
    Heard::Line(LogLine { at, instance: id(), stderr, text: text.to_owned() })
}

fn sent(followed: &mut Followed, lines: &[&str]) -> Vec<String> {
    lines.iter().filter_map(|text| followed.take(line(text))).map(|line| line.text).collect()
}

fn ended(followed: &mut Followed, end: Result<(), AskError>) -> Option<String> {
    followed.take(Heard::Ended { instance: id(), node: fixtures::node(), end }).map(|line| line.text)
}

fn node() -> NodeName {
    fixtures::node()
}

#[tokio::test(start_paused = true)]
async fn what_is_told_again_is_not_sent_again_and_what_is_new_is() {
    let mut followed = Followed::default();
    followed.opened(id(), 3);
    let first = ["03 a", "05 b err", "04 c", "05 d", "05 e"];
    assert_eq!(sent(&mut followed, &first), first);
    ended(&mut followed, Err(AskError::Lost(node())));
    assert_eq!(followed.wants(&id(), true, 3, Instant::now()), Some(TAIL_MOST), "at once, since the node may be back");
    followed.opened(id(), 3);
    let again = ["01 old", "02 old err", "03 a", "05 b err", "04 c", "05 d", "05 e", "05 new", "05 new err", "04 clock set back"];
    assert_eq!(sent(&mut followed, &again), ["05 new", "05 new err", "04 clock set back"]);
    ended(&mut followed, Err(AskError::Lost(node())));
    followed.opened(id(), 3);
    assert_eq!(sent(&mut followed, &["07 rotated", "08 away"]), ["07 rotated", "08 away"]);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_was_silent_does_not_bring_up_what_was_not_asked_for() {
    let mut followed = Followed::default();
    followed.opened(id(), 1);
    assert_eq!(sent(&mut followed, &["03 a"]), ["03 a"]);
    ended(&mut followed, Err(AskError::Lost(node())));
    followed.opened(id(), 1);
    assert_eq!(sent(&mut followed, &["01 old err", "03 a", "04 new err"]), ["04 new err"]);
}

#[tokio::test(start_paused = true)]
async fn that_a_log_cannot_be_read_is_said_once_until_it_can() {
    let mut followed = Followed::default();
    for (told, lines) in [(true, vec![]), (false, vec!["01 a"]), (true, vec![]), (false, vec![])] {
        followed.opened(id(), 100);
        let refused = ended(&mut followed, Err(AskError::NotConnected(node())));
        assert_eq!(refused.is_some(), told, "{refused:?}");
        assert_eq!(followed.wants(&id(), true, 100, Instant::now()), None, "not again and again");
        tokio::time::advance(LOOK_AGAIN).await;
        assert!(followed.wants(&id(), true, 100, Instant::now()).is_some());
        followed.opened(id(), 100);
        sent(&mut followed, &lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_complete_is_asked_for_again_only_if_its_instance_runs_again() {
    let mut followed = Followed::default();
    followed.opened(id(), 100);
    assert_eq!(ended(&mut followed, Ok(())), None);
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(followed.wants(&id(), false, 100, Instant::now()), None);
    assert_eq!(followed.wants(&id(), true, 100, Instant::now()), Some(100));
    followed.retain(|_| false);
    assert_eq!(followed.wants(&id(), false, 7, Instant::now()), Some(7));
}
