//! What is printed for other programs: completions, the manual page, the schema. None of it needs a configuration.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::stage::Stage;

/// The commands and options of the program and of each command, by `--help`.
async fn helps(stage: &Stage) -> Vec<(String, String)> {
    let whole = stage.command_ends(&["--help"]).await.exits(0).stdout;
    let commands = whole.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // A description that goes on is indented further.
    let names = commands.lines().filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let mut helps = Vec::new();
    for name in names.filter(|name| *name != "help") {
        helps.push((name.to_owned(), stage.command_ends(&[name, "--help"]).await.exits(0).stdout));
    }
    assert!(helps.len() >= 14, "{whole}");
    helps
}

fn options(help: &str) -> impl Iterator<Item = &str> {
    help.split(|c: char| c.is_whitespace() || ",[]<>=`.;:\"".contains(c)).filter(|word| word.starts_with("--") && word.len() > 2)
}

#[tokio::test]
async fn bash_completes_commands_and_options() {
    let stage = Stage::new().await;
    let script = stage.command_ends(&["completions", "bash"]).await.exits(0).stdout;
    fs::write(stage.path("completions"), script).unwrap();
    let completed = |words: &str, at: usize| {
        let line = format!(
            "source \"$0\"; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _snapwarden snapwarden \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[*]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).arg(stage.path("completions")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("snapwarden hist", 1), "history");
    assert_eq!(completed("snapwarden history --si", 2), "--since");
    assert_eq!(completed("snapwarden plan --kind s", 3), "snapshot");
}

#[tokio::test]
async fn every_shell_has_completions_of_every_command() {
    let stage = Stage::new().await;
    let helps = helps(&stage).await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stage.command_ends(&["completions", shell]).await.exits(0).stdout;
        for (name, _) in &helps {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
    }
    stage.command_ends(&["completions", "cobol"]).await.exits(2);
}

#[tokio::test]
async fn the_manual_page_has_all_that_help_has() {
    let stage = Stage::new().await;
    let page = stage.command_ends(&["man"]).await.exits(0).stdout;
    assert!(page.is_ascii() && page.contains(".TH snapwarden 8"), "{page}");
    // As a reader sees it.
    let read = page.replace("\\-", "-").replace("\\fR", "").replace("\\fB", "").replace("\\fI", "");
    for (name, help) in helps(&stage).await {
        let section = read.split(&format!(".SS \"snapwarden {name}\"\n")).nth(1).unwrap_or_else(|| panic!("{name} in {read}"));
        let section = section.split("\n.S").next().unwrap();
        let common = ["--config", "--token-file", "--help", "--version"];
        for option in options(&help).filter(|option| !common.contains(option)) {
            assert!(section.contains(option), "{name} {option} in {section}");
        }
    }
    for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "\"EXIT STATUS\"", "FILES", "ENVIRONMENT", "SIGNALS"] {
        assert_eq!(read.matches(&format!(".SH {heading}\n")).count(), 1, "{heading} in {read}");
    }
    let codes = read.split(".SH \"EXIT STATUS\"").nth(1).unwrap().split(".SH").next().unwrap();
    let told = stage.command_ends(&["--help"]).await.exits(0).stdout;
    for line in told.split("Exit codes:\n").nth(1).unwrap().lines() {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        assert!(codes.contains(&format!("{code}\n{}\n", meaning.trim())), "{line} in {codes}");
    }
    for word in ["SIGHUP", "SIGTERM", "SNAPWARDEN_CONFIG", "STATE_DIRECTORY", "NO_COLOR", "NOTIFY_SOCKET", "conf.d", "journal.sqlite3"] {
        assert!(read.contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_schema_is_that_of_the_repository_and_conf_d_has_a_part_of_it() {
    let stage = Stage::new().await;
    let whole = stage.command_ends(&["schema"]).await.exits(0);
    assert_eq!(whole.stdout, include_str!("../../config/snapwarden.schema.json"));
    let (whole, part): (Value, Value) = (whole.json(), stage.command_ends(&["schema", "--conf-d"]).await.exits(0).json());
    let keys: Vec<&String> = part["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["policies", "servers"]);
    assert_eq!((&part["$schema"], &part["$defs"], &part["additionalProperties"]), (&whole["$schema"], &whole["$defs"], &json!(false)));
}
