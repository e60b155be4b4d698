//! The status page in a real browser: hostile names, search and filter with and without the script, refreshing, light and dark.

use serde_json::{Value, json};
use snapwarden::emulator::ServersAccess;

use super::stage::{Running, Stage};
use super::webdriver::{Browser, browser};

const SCRIPT: &str = "<script>alert(1)</script>";
const IMAGE: &str = "\"><img src=x onerror=alert(2)>";
const MISLEADING: &str = "a\u{202e}b\nc</li>";

/// Four servers with such names; one of them is called otherwise in the configuration, which is a problem of its own.
async fn fleet() -> (Stage, Running) {
    let stage = Stage::new().await;
    stage.emulator.set_servers_access(ServersAccess::Allowed);
    for (id, name) in [(2, SCRIPT), (3, IMAGE), (4, MISLEADING)] {
        stage.emulator.add_server(id, name);
    }
    stage.configure(
        "policies:\n  web:\n    snapshots: {schedule: \"@yearly\", keep: {last: 2}, catch_up: 0s}\n\
         \x20   backups: {schedule: \"@yearly\", keep: {last: 2}, catch_up: 0s}\n\
         servers:\n  - {id: 3, name: img-01, policy: web}\n  - {match: \"*\", policy: web}\n",
    );
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 100ms");
    let daemon = stage.serve().await;
    stage.until("everything was seen", || stage.get("/readyz").is_some_and(|answer| answer.contains(" 200 "))).await;
    (stage, daemon)
}

fn url(stage: &Stage, rest: &str) -> String {
    format!("http://127.0.0.1:{}/{rest}", stage.port())
}

/// Ends the test if anything but our own style and script was in the page, or was tried.
#[track_caller]
fn assert_nothing_ran(browser: &Browser) {
    assert_eq!(browser.dialogue(), None);
    assert_eq!(browser.count("script:not([src='/status.js']), img, body script, [onerror], [style]"), 0);
    assert_eq!(browser.console(), [""; 0]);
}

fn names(browser: &Browser) -> Value {
    browser.run("return [...document.querySelectorAll('#servers .name')].map((name) => name.textContent)")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_text_and_the_script_searches_and_refreshes() {
    let Some(browser) = browser().await else { return };
    let (stage, daemon) = fleet().await;
    browser.open(&url(&stage, ""));
    assert_eq!(names(&browser), json!([IMAGE, "web-01", SCRIPT, "a\\u{202e}b\\u{a}c</li>"]));
    assert!(browser.text("#server-3 .problems").contains(&format!("the provider calls it `{IMAGE}`")));
    assert_nothing_ran(&browser);
    let inline = "const it = document.createElement('script'); it.textContent = 'window.ran = true'; document.body.append(it); it.remove(); return window.ran";
    assert_eq!(browser.run(inline), Value::Null, "the policy lets inline scripts run");
    assert!(browser.console().iter().any(|line| line.contains("Content Security Policy")), "the console tells what is refused");

    browser.type_into("input[type=search]", "ALERT(1)");
    browser.wait("one is found", |browser| browser.count("#servers > li") == 1).await;
    assert_eq!(names(&browser), json!([SCRIPT]));
    assert_eq!(browser.text("#found p"), "1 of 4 servers");
    assert_eq!(browser.address(), url(&stage, "?q=ALERT%281%29"));
    assert_eq!(browser.run("return document.activeElement.name"), "q", "one goes on typing");
    browser
        .run("document.querySelector('form').reset(); document.querySelector('input').dispatchEvent(new Event('input', {bubbles: true}))");
    browser.wait("all are there again", |browser| browser.count("#servers > li") == 4).await;
    browser.click("input[type=checkbox]");
    browser.wait("one has a problem", |browser| browser.count("#servers > li") == 1).await;
    assert_eq!((names(&browser), browser.address()), (json!([IMAGE]), url(&stage, "?problems=1")));
    browser.click("input[type=checkbox]");
    browser.wait("all are there again", |browser| browser.count("#servers > li") == 4).await;

    browser.run("for (const item of document.querySelectorAll('#servers > li')) item.known = true");
    assert_eq!(browser.count("#server-1 .boxes .other"), 0);
    stage.add_theirs("by-hand", 3);
    stage.until("the daemon has seen it", || stage.get("/").is_some_and(|page| page.contains("class=\"other\"></i><i></i>"))).await;
    // What the script does each time the page comes to the front.
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.wait("it is drawn", |browser| browser.count("#server-1 .boxes .other") == 1).await;
    assert_eq!(browser.count("#server-1 circle.other"), 1);
    let same = "return ['server-1', 'server-2', 'server-3', 'server-4'].map((id) => document.getElementById(id).known === true)";
    assert_eq!(browser.run(same), json!([false, true, true, true]), "what has not changed stays");
    assert_nothing_ran(&browser);

    assert!(!browser.shows("#stale"));
    daemon.terminate().await;
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.wait("it says that the daemon is gone", |browser| browser.shows("#stale")).await;
    assert_eq!(browser.count("#servers > li"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_form_does_it_and_both_colour_schemes_apply() {
    let Some(browser) = browser().await else { return };
    let (stage, daemon) = fleet().await;
    let background = |scheme: &str| {
        browser.chromium("Emulation.setEmulatedMedia", &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}));
        browser.run("return getComputedStyle(document.body).backgroundColor").to_string()
    };
    browser.chromium("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&url(&stage, ""));
    assert_eq!(browser.count("noscript meta[http-equiv=refresh]"), 1, "the page is read without scripts");
    assert_nothing_ran(&browser);
    browser.type_into("input[type=search]", "onerror");
    browser.click("input[type=checkbox]");
    browser.click("form button");
    browser.wait("the form is answered", |browser| browser.address().contains('?')).await;
    assert_eq!(browser.address(), url(&stage, "?q=onerror&problems=1&sort=worst"));
    browser.wait("one is found", |browser| browser.count("#servers > li") == 1).await;
    assert_eq!(browser.text("#server-3 .reason"), "name_mismatch");
    assert_nothing_ran(&browser);
    let (light, dark) = (background("light"), background("dark"));
    assert_eq!((light.as_str(), dark.as_str()), ("\"rgb(246, 247, 248)\"", "\"rgb(20, 23, 26)\""));
    browser.chromium("Emulation.setDeviceMetricsOverride", &json!({"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": true}));
    let wider = "const is_wider = (it) => it.getBoundingClientRect().right > 360.5;\
                 return [...document.querySelectorAll('body *')].filter(is_wider).map((it) => it.outerHTML)";
    assert_eq!(browser.run(wider), json!([]), "nothing is wider than a phone");
    daemon.terminate().await;
}
