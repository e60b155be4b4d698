//! What stands, and until when.

use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + 3600 * hours).unwrap()
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}

fn servers(texts: &[&str]) -> Selection {
    Selection { servers: texts.iter().map(|text| (*text).into()).collect(), ..Selection::default() }
}

fn item(kind: Kind, item: u64) -> HeldItem {
    HeldItem { kind, item: ItemId(item), name: None, server: ServerId(1), server_name: "web-01".into() }
}

fn asked(server: u64, server_name: Option<&str>) -> Asked<'_> {
    Asked { server: ServerId(server), server_name, configured_name: None, kind: Kind::Snapshot, policy: "web" }
}

/// Gives orders as they come, each at its time.
fn after(given: &[(i64, Ask)]) -> StandingOrders {
    let mut orders = StandingOrders::default();
    for (index, (time, what)) in given.iter().enumerate() {
        let order = Order { what: what.clone(), reason: "moving".into(), by: "ann".into() };
        orders.give(&order, OpId(10 * index as u64), at(*time)).unwrap().iter().for_each(|order| orders.apply(order));
    }
    orders
}

fn until(orders: &StandingOrders, asked: Asked<'_>, now: i64) -> Option<i64> {
    orders.paused(asked, at(now)).map(|paused| paused.until.duration_since(at(0)).as_hours())
}

#[test]
fn a_pause_means_whom_it_names_until_its_time() {
    let web = asked(1, Some("web-01"));
    let selections = [
        (servers(&[]), true),
        (servers(&["web-*"]), true),
        (servers(&["1"]), true),
        (servers(&["2", "web-0?"]), true),
        (servers(&["2"]), false),
        (servers(&["web"]), false),
        (Selection { policies: vec!["web".into()], ..servers(&["web-*"]) }, true),
        (Selection { policies: vec!["db".into()], ..servers(&["web-*"]) }, false),
        (Selection { kinds: vec![Kind::Backup], ..servers(&["web-*"]) }, false),
    ];
    for (selection, meant) in selections {
        let orders = after(&[(0, Ask::Pause(selection.clone(), hours(4)))]);
        assert_eq!(until(&orders, web, 3).is_some(), meant, "{selection}");
        assert_eq!(until(&orders, web, 4), None, "{selection}");
    }
    let orders = after(&[(0, Ask::Pause(servers(&["web-01"]), hours(4)))]);
    assert_eq!(orders.paused(web, at(0)).unwrap().why, "moving (ordered by ann)");
    assert_eq!(until(&orders, asked(7, None), 3), Some(4), "it may be that one");
    let renamed = Asked { configured_name: Some("web-01"), ..asked(1, Some("web-new")) };
    assert_eq!(until(&orders, renamed, 3), Some(4), "who ordered it knows it by that name");
    let orders = after(&[(0, Ask::Pause(servers(&["2"]), hours(4)))]);
    assert_eq!(until(&orders, asked(7, None), 3), None, "a number is known");
}

#[test]
fn the_last_to_end_counts_and_a_resume_ends_them_all() {
    let web = asked(1, Some("web-01"));
    let both = vec![(0, Ask::Pause(servers(&[]), hours(48))), (1, Ask::Pause(servers(&["web-01"]), hours(2)))];
    assert_eq!((until(&after(&both), web, 2), until(&after(&both), web, 47)), (Some(48), Some(48)));
    let resumed = after(&[both.clone(), vec![(2, Ask::Resume(servers(&["web-01"])))]].concat());
    assert_eq!((until(&resumed, web, 2), until(&resumed, asked(2, Some("web-02")), 2)), (None, Some(48)));
    let again = after(&[both, vec![(2, Ask::Resume(servers(&[]))), (3, Ask::Pause(servers(&["web-*"]), hours(1)))]].concat());
    assert_eq!((until(&again, web, 3), until(&again, web, 4)), (Some(4), None));
}

#[test]
fn the_end_of_the_last_pause_is_when_it_was_ended() {
    let web = asked(1, Some("web-01"));
    let given =
        [(0, Ask::Pause(servers(&[]), hours(4))), (10, Ask::Pause(servers(&[]), hours(10))), (12, Ask::Resume(servers(&["web-01"])))];
    let orders = after(&given);
    assert_eq!(orders.last_paused(web, at(30)), Some(at(12)));
    assert_eq!(orders.last_paused(asked(2, Some("web-02")), at(30)), Some(at(20)));
    assert_eq!((orders.last_paused(web, at(11)), orders.last_paused(web, at(3))), (Some(at(4)), None));
}

#[test]
fn a_hold_is_lengthened_by_another_and_ended_by_a_release() {
    let snapshot = item(Kind::Snapshot, 801);
    let held = |orders: &StandingOrders| orders.held(Kind::Snapshot).get(&ItemId(801)).copied();
    let twice = vec![(0, Ask::Hold(snapshot.clone(), hours(24))), (1, Ask::Hold(snapshot.clone(), hours(2)))];
    assert_eq!(held(&after(&twice)), Some(at(24)));
    assert!(after(&twice).held(Kind::Backup).is_empty(), "numbers of snapshots and backups have nothing to do with each other");
    let released = after(&[twice, vec![(2, Ask::Release(Kind::Snapshot, ItemId(801)))]].concat());
    assert_eq!(held(&released), None);
    let ask = |what| Order { what, reason: "".into(), by: "".into() };
    let over = after(&[(0, Ask::Hold(snapshot, hours(24)))]);
    for (orders, what) in [
        (&released, Ask::Release(Kind::Snapshot, ItemId(801))),
        (&over, Ask::Release(Kind::Snapshot, ItemId(801))),
        (&over, Ask::Release(Kind::Backup, ItemId(801))),
        (&over, Ask::Resume(servers(&[]))),
        (&over, Ask::Deletes(ServerId(1))),
    ] {
        assert!(matches!(orders.give(&ask(what), OpId(9), at(24)), Err(OrderError::Nothing(_))));
    }
    let order = ask(Ask::Pause(servers(&[]), Duration::MAX));
    assert_eq!(over.give(&order, OpId(9), at(24)), Err(OrderError::TooLong));
}

#[test]
fn a_restore_holds_its_source_and_stops_deletes_for_seven_days() {
    let orders = after(&[(0, Ask::Hold(item(Kind::Backup, 501), hours(24 * 30))), (1, Ask::Restore(item(Kind::Backup, 501)))]);
    assert_eq!(orders.held(Kind::Backup)[&ItemId(501)], at(24 * 30), "a longer hold stays");
    let last = 24 * 7;
    assert_eq!(orders.no_deletes(ServerId(1), at(last)), Some((at(last + 1), "moving")));
    assert_eq!(orders.no_deletes(ServerId(1), at(last + 1)), None);
    assert_eq!(orders.no_deletes(ServerId(2), at(2)), None);
    let restored = (1, Ask::Restore(item(Kind::Backup, 501)));
    let ended = after(&[restored, (2, Ask::Deletes(ServerId(1)))]);
    assert_eq!((ended.no_deletes(ServerId(1), at(2)), ended.held(Kind::Backup).len()), (None, 1), "the hold stays");
}

#[test]
fn what_is_remembered_has_a_limit() {
    let mut orders = StandingOrders::default();
    for number in 0..=REMEMBERED_MAX as u64 {
        let lasts = hours(number + 1);
        for (op, what) in [Ask::Hold(item(Kind::Snapshot, number), lasts), Ask::Pause(servers(&["web-01"]), lasts)].into_iter().enumerate()
        {
            let order = Order { what, reason: "".into(), by: "".into() };
            orders.give(&order, OpId(2 * number + op as u64), at(0)).unwrap().iter().for_each(|order| orders.apply(order));
        }
    }
    assert_eq!(
        (orders.pauses.len(), orders.held(Kind::Snapshot).len(), orders.holds.len()),
        (REMEMBERED_MAX, REMEMBERED_MAX, REMEMBERED_MAX)
    );
    assert!(!orders.held(Kind::Snapshot).contains_key(&ItemId(0)), "the first to end goes first");
}

#[test]
fn what_may_be_about_another_server_ends_no_pause() {
    let orders = after(&[(0, Ask::Pause(servers(&[]), hours(48))), (1, Ask::Resume(servers(&["web-01"])))]);
    assert_eq!(until(&orders, asked(1, Some("web-01")), 2), None);
    assert_eq!(until(&orders, asked(7, Some("web-07")), 2), Some(48));
    assert_eq!(until(&orders, asked(7, None), 2), Some(48), "it may be another one");
    assert_eq!(orders.last_paused(asked(7, None), at(2)), None);
    let by_number = after(&[(0, Ask::Pause(servers(&[]), hours(48))), (1, Ask::Resume(servers(&["7"])))]);
    assert_eq!(until(&by_number, asked(7, None), 2), None, "that is certain");
}
