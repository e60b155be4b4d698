//! `docs/first-hour.md`, step by step: what it shows is what the program prints. `BLESS=1` writes the page anew.

use std::fs;
use std::path::{Path, PathBuf};

use super::stage::Stage;

fn page() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-hour.md");
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The contents of the blocks of a language, in their order.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    page.split(&format!("```{language}\n")).skip(1).map(|block| block.split("```\n").next().unwrap()).collect()
}

/// A configuration of the page at the emulated provider, which is quicker.
fn at_the_stage(stage: &Stage, text: &str) -> String {
    let quick = format!("provider:\n  url: {}\n  requests_per_second: 100\n  poll_every: 50ms\n", stage.emulator.url());
    format!("state: {}\nlisten: 127.0.0.1:{}\n", stage.state().display(), stage.port()) + &text.replace("provider:\n", &quick)
}

/// What stands in the place of the times, ages and digests, which differ each time. Numbers of items and counts are left.
fn timeless(text: &str) -> String {
    let is_unit = |word: &str| ["s", "min", "h", "d"].contains(&word.trim_end_matches([':', ',', ')']));
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |(index, word): (usize, &&str)| {
            let is_number = word.chars().all(|c| c.is_ascii_digit() || c == '.');
            let is_time = word.chars().filter(char::is_ascii_digit).count() >= 6 && word.contains(['-', ':']);
            let bare = word.trim_end_matches([')', ',']);
            let is_digest = [8, 32].contains(&bare.len()) && bare.chars().all(|c| c.is_ascii_hexdigit());
            match () {
                () if *word == "now" => "N unit ago".to_owned(),
                () if is_number && words.get(index + 1).is_some_and(|next| is_unit(next)) => "N".to_owned(),
                () if is_unit(word) && index > 0 => "unit".to_owned(),
                () if is_time => word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect(),
                () if is_digest => "digest".to_owned(),
                () => (*word).to_owned(),
            }
        };
        words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn only_what_differs_each_time_is_left_out() {
    assert_eq!(timeless("801  3 h ago  prod-web-20261121T033000Z"), timeless("801  52 s ago   prod-web-20271231T235959Z"));
    assert_eq!(timeless("801  now"), timeless("801  3 h ago"));
    assert_ne!(timeless("801  3 h ago"), timeless("802  3 h ago"));
    assert_ne!(timeless("1 of 5 slots"), timeless("2 of 5 slots"));
}

#[tokio::test]
async fn the_first_hour_goes_as_the_page_says() {
    let (stage, (path, page)) = (Stage::new().await, page());
    stage.add_theirs("before-upgrade", 3);
    let configs = blocks(&page, "yaml");
    fs::write(stage.config(), at_the_stage(&stage, configs[0])).unwrap();
    fs::write(stage.path("next.yaml"), at_the_stage(&stage, configs[1])).unwrap();
    let places = [
        (stage.path("next.yaml").display().to_string(), "next.yaml"),
        (stage.config().display().to_string(), "/etc/snapwarden/snapwarden.yaml"),
        (stage.path("token").display().to_string(), "/etc/snapwarden/token"),
        (stage.state().display().to_string(), "/var/lib/snapwarden"),
        (stage.emulator.url(), "https://admin.vps.org/api/v1"),
        (format!("of uid {}", rustix::process::getuid().as_raw()), "of ann"),
    ];
    let mut blessed = page.clone();
    for block in blocks(&page, "console") {
        let (command, shown) = block.split_once('\n').unwrap();
        let words: Vec<&str> = command.strip_prefix("$ ").unwrap().split(' ').collect();
        let printed = if words[0] == "curl" {
            let daemon = stage.serve().await;
            let url = words[1].strip_prefix("http://127.0.0.1:9745").unwrap();
            stage.until("the daemon is ready", || stage.get(url).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))).await;
            let answer = stage.get(url).unwrap();
            daemon.terminate().await;
            answer.split_once("\r\n\r\n").unwrap().1.to_owned()
        } else {
            let next = stage.path("next.yaml");
            let words: Vec<&str> = words[1..].iter().map(|word| if *word == "next.yaml" { next.to_str().unwrap() } else { word }).collect();
            let outcome = stage.command_ends(&words).await.exits(0);
            // What is made by hand is for the second in which it is asked for; the next command is to find another one.
            let second = stage.emulator.now().as_second();
            stage.until("the next second has come", || !words.contains(&"run") || stage.emulator.now().as_second() > second).await;
            outcome.stderr + &outcome.stdout
        };
        let printed = places.iter().fold(printed, |printed, (here, there)| printed.replace(here, there));
        if std::env::var_os("BLESS").is_some() {
            blessed = blessed.replace(&format!("{command}\n{shown}```\n"), &format!("{command}\n{printed}```\n"));
        } else {
            assert_eq!(timeless(&printed), timeless(shown), "{command}: BLESS=1 writes it anew");
        }
    }
    if blessed != page {
        fs::write(&path, &blessed).unwrap();
    }
    // The page was followed: one snapshot was made, and nothing of anybody's was deleted.
    assert_eq!((stage.created(), stage.deleted()), (1, vec![]));
}
