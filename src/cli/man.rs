//! `snapwarden man`: the manual page, made of what the commands say of themselves.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::{EXIT_CODES, Exit, Failure};
use super::{Cli, output};

/// Print the manual page
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapwarden man | man -l -
  snapwarden man > /usr/local/share/man/man8/snapwarden.8")]
pub(super) struct ManArgs {}

const DESCRIPTION: &str = "snapwarden makes snapshots and backups of VPS.org servers on schedule, within the provider's caps, and deletes those that \
    retention no longer keeps: never what is not its own or was not given into its care, and never the last good one. It works as a daemon (serve) or as a \
    single command (run --due). Data goes to standard output, logs and hints to standard error.";

const FILES: [(&str, &str); 6] = [
    ("/etc/snapwarden/snapwarden.yaml", "The configuration. snapwarden schema prints its JSON Schema for editors."),
    ("/etc/snapwarden/conf.d/*.yaml", "More policies and servers, beside the configuration."),
    ("/etc/snapwarden/token", "The token, if provider.token_file is \"token\": the token alone, on one line, and not open to everyone."),
    ("/var/lib/snapwarden/journal.sqlite3", "What was done and what is under way (another folder: state, or $STATE_DIRECTORY)."),
    ("/var/lib/snapwarden/lock", "Held by the one process that works on the folder."),
    ("/var/lib/snapwarden/control.sock", "Where run and take reach a daemon that holds the folder; for its user only."),
];

const ENVIRONMENT: [(&str, &str); 8] = [
    ("SNAPWARDEN_CONFIG", "The configuration file, where --config is not given."),
    ("CREDENTIALS_DIRECTORY", "Where a relative provider.token_file is looked for first (set by systemd for LoadCredential=)."),
    ("STATE_DIRECTORY", "The folder of the journal, where the configuration does not name one (set by systemd for StateDirectory=)."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Where serve tells the service manager READY, RELOADING, STOPPING and STATUS, and feeds its watchdog.",
    ),
    ("JOURNAL_STREAM", "Where it names standard error, the log goes to the system's journal, which adds the time itself."),
    ("NO_COLOR", "Where it is set to anything, there is no colour on terminals."),
    (
        "CLICOLOR, CLICOLOR_FORCE, TERM",
        "No colour where CLICOLOR is 0 or TERM is dumb; colour also off terminals where CLICOLOR_FORCE is 1.",
    ),
    ("the variable that provider.token_env names", "The token, where no file holds it."),
];

const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGHUP",
        "serve reads the configuration again. One that is wrong changes nothing, is logged, and sets config_last_reload_successful to 0.",
    ),
    (
        "SIGTERM, SIGINT",
        "No new work; the exchange in flight is finished and recorded. serve then ends with 0, other commands with 130. What is being made is picked up at the \
         next start. A second one ends at once. What a daemon does for run or take goes on when these are ended.",
    ),
];

pub(super) fn man(_args: &ManArgs) -> Result<Exit, Failure> {
    let page =
        page(Cli::command()).map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: failed to write the page: {error}")))?;
    output::write(&page)?;
    Ok(Exit::Done)
}

/// The page of a program: each command with its options, then what all have in common.
fn page(program: Command) -> io::Result<String> {
    let version = format!("snapwarden {}", program.get_version().unwrap_or_default());
    let mut text = Vec::new();
    let whole = Man::new(program.clone().after_help("")).section("8").source(version).manual("System administration");
    whole.render_title(&mut text)?;
    whole.render_name_section(&mut text)?;
    whole.render_synopsis_section(&mut text)?;
    Roff::new().control("SH", ["DESCRIPTION"]).text([roman(DESCRIPTION)]).to_writer(&mut text)?;
    whole.render_options_section(&mut text)?;
    Roff::new().control("SH", ["COMMANDS"]).to_writer(&mut text)?;
    for command in program.get_subcommands() {
        render_command(command, &mut text)?;
    }
    let codes = EXIT_CODES.map(|(code, meaning)| (code.to_string(), meaning));
    render_list("EXIT STATUS", codes.iter().map(|(code, meaning)| (code.as_str(), *meaning)), &mut text)?;
    render_list("FILES", FILES, &mut text)?;
    render_list("ENVIRONMENT", ENVIRONMENT, &mut text)?;
    render_list("SIGNALS", SIGNALS, &mut text)?;
    Ok(ascii(&String::from_utf8_lossy(&text)))
}

/// Everything else by its number, which every formatter and locale takes.
fn ascii(page: &str) -> String {
    let escaped = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) };
    page.chars().map(escaped).collect()
}

/// A command with what it does, its own options and its examples. Those that every command takes stand further up.
fn render_command(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("snapwarden {}", command.get_name());
    let command = command.clone().bin_name(&name).disable_help_flag(true);
    let mut heading = Roff::new();
    heading.control("SS", [name.as_str()]);
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        heading.text([roman(format!("{about}."))]);
    }
    heading.to_writer(text)?;
    let mut options = Vec::new();
    Man::new(command.clone()).render_options_section(&mut options)?;
    for line in String::from_utf8_lossy(&options).lines() {
        match line.strip_prefix(".SH ") {
            Some("OPTIONS") => {}
            // A heading among the options of one command, not one of the page.
            Some(heading) => text.extend_from_slice(format!(".PP\n{}\n", heading.trim_matches('"').to_lowercase()).as_bytes()),
            None => text.extend_from_slice(format!("{line}\n").as_bytes()),
        }
    }
    if let Some(after) = command.get_after_help() {
        let mut examples = Roff::new();
        examples.control("PP", []).control("nf", []);
        for line in after.to_string().lines() {
            examples.text([roman(line)]);
        }
        examples.control("fi", []).to_writer(text)?;
    }
    Ok(())
}

fn render_list<'t>(heading: &str, entries: impl IntoIterator<Item = (&'t str, &'t str)>, text: &mut Vec<u8>) -> io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", [heading]);
    for (term, meaning) in entries {
        section.control("TP", []).text([bold(term)]).text([roman(meaning)]);
    }
    section.to_writer(text)
}
