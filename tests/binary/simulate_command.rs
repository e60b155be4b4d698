//! `simulate`: what it tells, its picture, and that the documentation shows what it prints.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::stage::Stage;

const POLICIES: &str = include_str!("../../docs/pictures/five-slots.yaml");

async fn stage() -> Stage {
    let stage = Stage::new().await;
    fs::write(stage.config(), POLICIES).unwrap();
    stage
}

async fn simulated(stage: &Stage, options: &[&str]) -> Value {
    let told = stage.command_ends(&[&["simulate", "--json", "--from", "2026-01-01"][..], options].concat()).await.exits(0).json();
    assert!(stage.emulator.ledger().requests().next().is_none(), "the provider was asked");
    told
}

fn dates(times: &Value) -> Vec<&str> {
    times.as_array().unwrap().iter().map(|time| &time.as_str().unwrap()[..10]).collect()
}

/// A page with the commands in it, and what stands below each.
struct Page {
    path: PathBuf,
    parts: Vec<(Vec<String>, String)>,
    text: String,
}

fn page() -> Page {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/choosing-a-policy.md");
    let text = fs::read_to_string(&path).unwrap();
    let blocks = text.split("```console\n$ snapwarden ").skip(1).map(|block| block.split("```\n").next().unwrap());
    let parts = blocks.map(|block| {
        let (command, shown) = block.split_once('\n').unwrap();
        (command.split(' ').map(str::to_owned).collect(), shown.to_owned())
    });
    Page { parts: parts.collect(), path, text: text.clone() }
}

/// With `BLESS` in the environment the page and its pictures are written anew instead.
#[tokio::test]
async fn the_documentation_shows_what_the_program_prints() {
    let (stage, page) = (stage().await, page());
    assert!(page.parts.len() >= 5);
    let bless = std::env::var_os("BLESS").is_some();
    let mut text = page.text.clone();
    let mut pictures = 0;
    for (command, shown) in &page.parts {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        let file = stage.path("picture.svg");
        let picture = words.iter().position(|word| *word == "--svg").map(|place| place + 1);
        let name = picture.map(|place| std::mem::replace(&mut words[place], file.to_str().unwrap()));
        let printed = stage.command_ends(&words).await.exits(0).stdout;
        let line = format!("$ snapwarden {}\n", command.join(" "));
        if bless {
            text = text.replace(&format!("{line}{shown}```\n"), &format!("{line}{printed}```\n"));
        } else {
            assert_eq!(&printed, shown, "{line}");
        }
        if let Some(name) = name {
            pictures += 1;
            assert!(page.text.contains(name.strip_prefix("docs/").unwrap()), "{name} is not shown");
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            if bless {
                fs::copy(&file, &kept).unwrap();
            }
            assert!(fs::read_to_string(&kept).unwrap() == fs::read_to_string(&file).unwrap(), "{name} differs: BLESS=1 writes it anew");
        }
    }
    assert_eq!(pictures, 3);
    if bless {
        fs::write(&page.path, text).unwrap();
    }
}

#[tokio::test]
async fn each_day_is_told_as_worked_out_by_hand() {
    let told = simulated(&stage().await, &["--policy", "two-and-two", "--days", "21"]).await;
    assert_eq!(told["days"], 21);
    let policy = &told["policies"][0];
    assert_eq!(
        (&policy["policy"], &policy["kind"], &policy["keep"]),
        (&json!("two-and-two"), &json!("snapshot"), &json!("daily=2,weekly=2"))
    );
    assert_eq!((&policy["from"], &policy["until"]), (&json!("2025-12-31T23:00:00Z"), &json!("2026-01-21T23:00:00Z")));
    let days = policy["days"].as_array().unwrap();
    assert_eq!(days.len(), 21);
    // 2026-01-01 is a Thursday. Its snapshot stays as the oldest until two weeks before the present one have theirs, of the 4th and the 11th.
    assert_eq!(dates(&days[0]["restore_points"]), ["2026-01-01"]);
    assert_eq!(dates(&days[11]["restore_points"]), ["2026-01-12", "2026-01-11", "2026-01-04", "2026-01-01"]);
    assert_eq!(dates(&days[12]["restore_points"]), ["2026-01-13", "2026-01-12", "2026-01-11", "2026-01-04"]);
    assert_eq!(dates(&days[20]["restore_points"]), ["2026-01-21", "2026-01-20", "2026-01-18", "2026-01-11"]);
    assert_eq!(policy["worth"], json!({"horizon_days": 800, "reach_seconds": 9 * 86_400, "gap_ratio": 4.0}));
    assert_eq!((&policy["creates"], &policy["deletes"], &policy["points"]), (&json!(21), &json!(17), &json!({"least": 4, "most": 4})));
    assert_eq!(policy["widest_gap"]["seconds"], 7 * 86_400);
    // The lives say the same as the days.
    let lives = policy["restore_points"].as_array().unwrap();
    for day in days {
        let end = day["ends_at"].as_str().unwrap();
        let there = lives.iter().filter(|life| life["completed_at"].as_str().unwrap() <= end);
        let mut there: Vec<&Value> = there.filter(|life| life["deleted_at"].as_str().is_none_or(|deleted| deleted > end)).collect();
        there.reverse();
        assert_eq!(
            there.iter().map(|life| &life["created_at"]).collect::<Vec<_>>(),
            day["restore_points"].as_array().unwrap().iter().collect::<Vec<_>>()
        );
    }
}

/// Issue 4.9.
#[tokio::test]
async fn what_a_policy_is_worth_is_told_and_bettered() {
    let told = simulated(&stage().await, &["--policy", "with-a-month", "--days", "30", "--suggest"]).await;
    let policy = &told["policies"][0];
    assert_eq!(policy["worth"], json!({"horizon_days": 800, "reach_seconds": 3 * 86_400, "gap_ratio": 11.0}));
    let splits = policy["suggested"]["splits"].as_array().unwrap();
    let better: Vec<&Value> = splits.iter().filter(|split| split["aims"].as_array().unwrap().contains(&json!("better"))).collect();
    assert!(better.iter().any(|split| split["keep"] == "daily=2,weekly=2"), "{splits:#?}");
    for split in better {
        assert!(
            split["worth"]["reach_seconds"].as_i64() > Some(3 * 86_400) && split["worth"]["gap_ratio"].as_f64() < Some(11.0),
            "{split:#}"
        );
        assert_eq!(split["creates"], 30);
    }
    for aim in ["furthest", "shortest_gaps", "balanced"] {
        assert_eq!(splits.iter().filter(|split| split["aims"].as_array().unwrap().contains(&json!(aim))).count(), 1, "{aim}");
    }
}

#[tokio::test]
async fn both_kinds_of_all_policies_are_played_unless_some_are_named() {
    let stage = Stage::new().await;
    stage.configure(
        "policies:\n  web:\n    snapshots: {schedule: \"0 3 * * *\", keep: {last: 2}}\n    backups: {schedule: \"0 3 * * sun\", keep: {last: 3}}\n  \
         db:\n    snapshots: {schedule: \"0 */6 * * *\", keep: {last: 2}}\nservers:\n  - {match: \"*\", policy: web}\n  - {id: 7, policy: db}\n",
    );
    stage.reconfigure("poll_every: 50ms", "poll_every: 15s");
    let of = |told: &Value| -> Vec<String> {
        told["policies"].as_array().unwrap().iter().map(|told| format!("{} {} {}", told["policy"], told["kind"], told["creates"])).collect()
    };
    let all = simulated(&stage, &["--days", "28"]).await;
    assert_eq!(of(&all), ["\"web\" \"snapshot\" 28", "\"web\" \"backup\" 4", "\"db\" \"snapshot\" 112"]);
    let one = simulated(&stage, &["--days", "28", "--policy", "db"]).await;
    assert_eq!(of(&one), ["\"db\" \"snapshot\" 112"]);
}

#[tokio::test]
async fn an_outage_leaves_what_there_is() {
    let told = simulated(&stage().await, &["--policy", "no-slot-free", "--days", "60", "--outage", "7d"]).await;
    let outage = &told["policies"][0]["outage"];
    assert_eq!((&outage["from"], &outage["until"]), (&json!("2026-01-30T23:00:00Z"), &json!("2026-02-06T23:00:00Z")));
    let [before, middle, end] = ["before", "middle", "end"].map(|when| dates(&outage[when]));
    assert_eq!(before.len(), 5);
    // One went to make room before it was known that nothing completes, and no more than one: that which the coming one would have displaced.
    assert_eq!(before, ["2026-01-30", "2026-01-29", "2026-01-28", "2026-01-25", "2026-01-18"]);
    assert_eq!((&middle, &end), (&vec!["2026-01-30", "2026-01-29", "2026-01-25", "2026-01-18"], &middle));
    assert!(outage["failed"].as_u64() >= Some(7), "{outage:#}");
    assert_eq!(outage["first_after"], "2026-02-07T02:30:00Z");
    assert!(outage["as_before_at"].is_string(), "{outage:#}");
}

#[tokio::test]
async fn the_picture_is_well_formed_and_needs_nothing_else() {
    let stage = stage().await;
    let file = stage.path("picture.svg");
    let told = simulated(
        &stage,
        &["--policy", "two-and-two", "--policy", "four-days", "--days", "40", "--outage", "2d", "--svg", file.to_str().unwrap()],
    )
    .await;
    let text = fs::read_to_string(&file).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    let root = svg.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("role")), ("svg", Some("img")));
    for id in root.attribute("aria-labelledby").unwrap().split(' ') {
        let named = svg.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
        assert!(named.text().unwrap().contains("two-and-two, snapshots"), "{id}");
    }
    let of_class = |class: &str| svg.descendants().filter(|node| node.attribute("class") == Some(class)).count();
    let lives = told["policies"].as_array().unwrap().iter().map(|policy| policy["restore_points"].as_array().unwrap());
    let lives: Vec<&Value> = lives.flatten().collect();
    let there = lives.iter().filter(|life| life["deleted_at"].is_null()).count();
    // And one of each in the legend.
    assert_eq!((of_class("life"), of_class("there"), of_class("gone")), (lives.len() + 1, there + 1, lives.len() - there + 1));
    assert_eq!((of_class("outage"), of_class("title")), (3, 2));
    assert!(text.contains("prefers-color-scheme:dark"));
    for word in ["href", "url(", "@import", "<script", "<image", "<foreignObject", "http"] {
        let allowed = usize::from(word == "http");
        assert_eq!(text.matches(word).count(), allowed, "{word}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let stage = stage().await;
    let refused = |options: &'static [&'static str]| {
        let stage = &stage;
        async move { stage.command_ends(&[&["simulate"][..], options].concat()).await.exits(2).stderr }
    };
    let unknown = refused(&["--policy", "three"]).await;
    assert!(unknown.contains("there is no policy `three`") && unknown.contains("`two-and-two`"), "{unknown}");
    assert!(refused(&["--from", "yesterday"]).await.contains("yesterday"));
    assert!(refused(&["--days", "10", "--outage", "5d"]).await.contains("--days"));
    refused(&["--days", "0"]).await;
    refused(&["--outage", "1month"]).await;
    let nowhere = stage.path("none/picture.svg");
    let failed = stage.command_ends(&["simulate", "--days", "5", "--svg", nowhere.to_str().unwrap()]).await.exits(1);
    assert!(failed.stderr.contains("picture.svg"), "{failed:?}");
    fs::write(stage.config(), "owner: 5\n").unwrap();
    refused(&[]).await;
}
