//! Orders and answers keep their meaning on the way, their shape is fixed, and whatever bytes come are an error at worst.

use proptest::prelude::*;

use crate::domain::inventory::ServerId;

use super::*;

fn target() -> Target {
    Target { server: ServerId(7), server_name: "wéb \"01\"\n".into(), kind: Kind::Backup, policy: "web".into() }
}

fn take() -> Order {
    let servers = vec![ServerPattern::Id(ServerId(7)), ServerPattern::Name(Globs::new(&["db-*"]).unwrap())];
    let select = Select { servers, policies: vec!["web".to_owned()], kinds: vec![Kind::Backup] };
    let keep_for = Some(Duration::new(14 * 24 * 3600, 5));
    Order::Take { select, label: Some("before".to_owned()), keep_for, make_room: true, by: "änne".into() }
}

fn report() -> RequestReport {
    let result = TargetResult {
        target: target(),
        result: RunResult::Blocked,
        created: vec![ItemId(3), ItemId(4)],
        deleted: Vec::new(),
        problems: vec![Problem { reason: Reason::CapFull, detail: "5 of 5".to_owned() }],
        error: Some("full".to_owned()),
    };
    let started_at = Some("2026-11-21T03:30:00.5Z".parse().unwrap());
    RequestReport { id: 0, started_at, targets: vec![result], fatal: Some(Fatal::Selection("nobody".to_owned())) }
}

fn facts() -> Vec<Fact> {
    let (at, run, op, item) = (report().started_at.unwrap(), 1, 2, ItemId(3));
    let lateness = Some(Duration::from_millis(1500));
    let problem = report().targets[0].problems[0].clone();
    vec![
        Fact::RunStarted { target: target(), run, slot: Some(at), lateness },
        Fact::RunEnded {
            target: target(),
            run,
            slot: None,
            result: RunResult::Success,
            duration: Duration::from_nanos(1_000_000_001),
            created: vec![item],
            deleted: vec![ItemId(9)],
            problems: vec![problem.clone()],
            error: None,
        },
        Fact::CreateSent { target: target(), run, op, name: "prod-web".to_owned(), attempt: 2 },
        Fact::CreateInDoubt { target: target(), run, op, error: "timeout".to_owned() },
        Fact::CreateDecided {
            target: target(),
            run,
            op,
            item: Some(item),
            name: "prod-web".to_owned(),
            result: OpResult::Unknown,
            error: None,
        },
        Fact::Completed { target: target(), run, item },
        Fact::DeleteSent { target: target(), run, op, item, name: "old".to_owned(), why: "older".to_owned() },
        Fact::DeleteDecided {
            target: target(),
            run,
            op,
            item,
            name: "old".to_owned(),
            why: "older".to_owned(),
            result: OpResult::Failure,
            error: Some("409".to_owned()),
        },
        Fact::Missed { target: target(), count: 3, newest: at },
        Fact::Lost { target: target(), item, name: "gone".to_owned() },
        Fact::GuardRefused { target: target(), run, violation: "I1".to_owned() },
        Fact::ProblemRaised { target: target(), problem },
        Fact::ProblemCleared { target: target(), reason: Reason::Stuck },
        Fact::AccountProblemRaised { reason: AccountReason::Auth, detail: "401".to_owned() },
        Fact::AccountProblemCleared { reason: AccountReason::ClockSkew },
        Fact::HookStarted { target: target(), run, side: HookSide::Before },
        Fact::HookEnded { target: target(), run, side: HookSide::After, error: None, output: "thawed".to_owned() },
        Fact::Note { target: None, text: "a note".to_owned() },
        Fact::Note { target: Some(target()), text: String::new() },
    ]
}

#[test]
fn an_order_means_the_same_on_the_other_side() {
    for order in [take(), Order::Run { select: Select::default(), due: true, gauges: true, by: "änne".into() }] {
        let read = read_order(&order_line(&order).unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{order:?}"));
    }
}

#[test]
fn an_answer_means_the_same_on_the_other_side() {
    let mut answers: Vec<Answer> = facts().into_iter().map(Answer::Told).collect();
    answers.extend([
        Answer::Accepted { config: "abc".to_owned() },
        Answer::LeftOut(5),
        Answer::Waiting,
        Answer::Finished { report: report(), faults: vec!["`match` finds nothing".to_owned()], gauges: Some("a 1\n".to_owned()) },
        Answer::Finished {
            report: RequestReport { fatal: Some(Fatal::Provider("down".to_owned())), ..report() },
            faults: Vec::new(),
            gauges: None,
        },
        Answer::Stopping,
        Answer::Refused("no".to_owned()),
    ]);
    for answer in answers {
        let line = answer_line(answer.clone()).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(line.starts_with(b"{\"snapwarden\":3,"));
        assert_eq!(read_answer(&line).unwrap(), answer);
    }
}

/// Who changes these lines raises [`VERSION`].
#[test]
fn the_shape_is_fixed() {
    let order = String::from_utf8(order_line(&take()).unwrap()).unwrap();
    let select = r#"{"servers":[{"id":7},{"name":["db-*"]}],"policies":["web"],"kinds":["backup"]}"#;
    let keep_for = r#"{"secs":1209600,"nanos":5}"#;
    let expected = format!(
        "{{\"snapwarden\":3,\"order\":{{\"take\":{{\"select\":{select},\"label\":\"before\",\"keep_for\":{keep_for},\"make_room\":true,\"by\":\"änne\"}}}}}}\n"
    );
    assert_eq!(order, expected);
    let told = Answer::Told(Fact::Completed { target: Target { server_name: "web-01".into(), ..target() }, run: 1, item: ItemId(3) });
    assert_eq!(
        String::from_utf8(answer_line(told).unwrap()).unwrap(),
        "{\"snapwarden\":3,\"answer\":{\"told\":{\"completed\":{\"target\":{\"server\":7,\"name\":\"web-01\",\"kind\":\"backup\",\
         \"policy\":\"web\"},\"run\":1,\"item\":3}}}}\n"
    );
}

#[test]
fn another_version_is_told_whatever_else_it_says() {
    let told = read_order(br#"{"snapwarden":4,"order":{"dance":{}},"more":1}"#).unwrap_err();
    assert_eq!(told, ProtocolError::Version(4));
    assert_eq!(read_answer(br#"{"snapwarden":0}"#).unwrap_err(), ProtocolError::Version(0));
    assert!(told.to_string().contains("version 4") && told.to_string().contains("version 3"), "{told}");
}

#[test]
fn what_the_command_line_would_refuse_is_refused() {
    let line = |from: &str, to: &str| {
        let line = String::from_utf8(order_line(&take()).unwrap()).unwrap();
        assert!(line.contains(from));
        read_order(line.replace(from, to).as_bytes())
    };
    assert!(matches!(line("before", "../etc"), Err(ProtocolError::Invalid(_))));
    assert!(matches!(line("1209600", "99999999999999"), Err(ProtocolError::Invalid(_))));
    assert!(matches!(line("db-*", "db-["), Err(ProtocolError::Unreadable(_))));
    assert!(matches!(line("\"backup\"", "\"disk\""), Err(ProtocolError::Unreadable(_))));
    assert!(matches!(line("\"make_room\"", "\"dry\":true,\"make_room\""), Err(ProtocolError::Unreadable(_))));
    assert!(line("before", "after").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_come_are_an_error_at_worst(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop((read_order(&bytes), read_answer(&bytes)));
    }

    /// Lines that are nearly right: a byte of a good one is another.
    #[test]
    fn a_damaged_order_is_refused_or_written_again_as_it_was_read(at in 0_usize..200, byte in any::<u8>()) {
        let mut line = order_line(&take()).unwrap();
        let at = at % line.len();
        line[at] = byte;
        if let Ok(order) = read_order(&line) {
            let again = order_line(&order).unwrap();
            prop_assert_eq!(format!("{:?}", read_order(&again).unwrap()), format!("{order:?}"));
        }
    }
}
