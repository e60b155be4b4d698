//! What a listing shows, and what it leaves open.

use super::*;
use crate::domain::inventory::{Defect, Item};
use crate::domain::testing::*;

fn opaque(id: Option<u64>, server: Option<ServerId>) -> Opaque {
    Opaque { id: id.map(ItemId), server, why: "`created_at` is missing".to_owned() }
}

#[test]
fn each_server_sees_its_own_in_order() {
    let elsewhere = Item { server: ServerId(8), ..ours(3, 9) };
    let inventory = inventory(listing(vec![ours(2, 5), elsewhere, ours(1, 5), ours(9, 6)]), 1);
    let ids: Vec<u64> = inventory.of(SERVER).items.iter().map(|item| item.id.0).collect();
    assert_eq!(ids, [9, 1, 2]);
    assert_eq!(inventory.of(ServerId(8)).items.len(), 1);
    assert!(inventory.of(ServerId(6)).items.is_empty());
    assert!(inventory.of(SERVER).find(ItemId(3)).is_none() && inventory.of(SERVER).find(ItemId(9)).is_some());
}

#[test]
fn what_is_automatic_does_not_count_and_what_cannot_be_seen_does() {
    let mut listing = listing_without(vec![ours(1, 5), Item { automatic: true, ..foreign(2, 5) }], 2);
    listing.opaque = vec![opaque(Some(3), Some(SERVER)), opaque(None, None), opaque(Some(4), Some(ServerId(8)))];
    let inventory = inventory(listing, 1);
    assert_eq!(inventory.of(SERVER).used(), 1 + 1 + 2 + 1);
    assert_eq!(inventory.of(ServerId(8)).used(), 1 + 2 + 1);
}

#[test]
fn each_server_sees_its_own_unreadable_entries_in_the_order_in_which_they_came() {
    let of = |id, server| opaque(Some(id), Some(ServerId(server)));
    let entries = vec![of(5, 8), of(4, 7), opaque(None, None), of(9, 8), of(1, 9), of(3, 8)];
    let inventory = inventory(Listing { opaque: entries, ..listing(vec![]) }, 1);
    let seen = |server| inventory.of(ServerId(server)).unreadable.iter().filter_map(|entry| Some(entry.id?.0)).collect::<Vec<_>>();
    assert_eq!([6, 7, 8, 9, 10].map(seen), [vec![], vec![4], vec![5, 9, 3], vec![1], vec![]]);
    assert!([6, 7, 8, 9, 10].iter().all(|server| inventory.of(ServerId(*server)).unseen == 1));
}

#[test]
fn an_unreadable_entry_spoils_the_view_of_its_server_only() {
    let inventory = inventory(Listing { opaque: vec![opaque(Some(3), Some(SERVER))], ..listing(vec![]) }, 1);
    assert_eq!(inventory.of(SERVER).defect().unwrap(), "entry 3 cannot be read: `created_at` is missing");
    assert_eq!((inventory.defect(), inventory.of(ServerId(8)).defect()), (None, None));
}

#[test]
fn one_that_names_no_server_spoils_every_view() {
    let inventory = inventory(Listing { opaque: vec![opaque(None, None)], ..listing(vec![]) }, 1);
    assert_eq!(inventory.of(ServerId(8)).defect().unwrap(), "1 entries cannot be read, not even their server");
    let defects = vec![Defect::DuplicateId(ItemId(5)), Defect::PageMissing];
    let spoilt = Inventory::new(Listing { defects, ..listing(vec![]) }, Mono::default());
    assert_eq!(spoilt.of(SERVER).defect().unwrap(), "number 5 occurs twice; a page is missing");
}
