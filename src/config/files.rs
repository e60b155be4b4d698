//! Reads the files and tells what is wrong with which line.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128, SipHasher13};

use super::diagnostics::{Diagnostic, Diagnostics, Place, printable};
use super::mask::Mask;
use super::report::{Finding, Report};
use super::tree::{self, Node, Span, SyntaxError};

/// The largest file that is read.
const SIZE_MAX: u64 = 8 * 1024 * 1024;

/// The most files that are read.
const FILES_MAX: usize = 10_000;

/// The files in the order in which they count, and what could not be read at all.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub list: Vec<SourceFile>,
    unreadable: Vec<Diagnostic>,
}

/// One file.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub path: PathBuf,
    text: String,
    /// None: it is not valid YAML, and reported.
    pub tree: Option<Node>,
}

impl Files {
    /// Reads the main file and every `*.yaml` in `conf.d` beside it.
    pub fn read(main: &Path, report: &mut Report) -> Files {
        let mut files = Files::default();
        files.add(main.to_owned(), report);
        match find_more(main) {
            Ok(paths) => paths.into_iter().for_each(|path| files.add(path, report)),
            Err((folder, error)) => files.refuse(folder, format!("cannot list the folder: {error}"), None),
        }
        files
    }

    /// Whether a file is missing from what could be read.
    pub fn is_incomplete(&self) -> bool {
        !self.unreadable.is_empty() || self.list.iter().any(|file| file.tree.is_none())
    }

    /// Whether the first file is the main one.
    pub fn main(&self, path: &Path) -> Option<&SourceFile> {
        self.list.first().filter(|file| file.path == path)
    }

    /// `file:line` of a place.
    pub fn locate(&self, span: Span) -> String {
        let path = self.list.get(usize::from(span.file)).map(|file| file.path.display().to_string()).unwrap_or_default();
        format!("{}:{}", printable(&path), span.line)
    }

    /// A stable hash of the text of all files.
    pub fn digest(&self) -> String {
        let mut hasher = SipHasher13::new();
        for file in &self.list {
            hasher.write_u64(file.text.len() as u64);
            hasher.write(file.text.as_bytes());
        }
        let hash = hasher.finish128();
        format!("{:016x}{:016x}", hash.h1, hash.h2)
    }

    /// The errors as they are told; none: there are none.
    pub fn diagnose(&self, mut findings: Vec<Finding>) -> Option<Diagnostics> {
        if findings.is_empty() && self.unreadable.is_empty() {
            return None;
        }
        findings.sort_by_key(|finding| finding.at);
        let masks: Vec<Mask> = self.list.iter().map(|file| Mask::new(&file.text, file.tree.as_ref())).collect();
        let lines: Vec<Vec<&str>> = self.list.iter().map(|file| file.text.lines().collect()).collect();
        let told = findings.into_iter().filter_map(|finding| self.tell(finding, &masks, &lines));
        Some(Diagnostics::new(self.unreadable.iter().cloned().chain(told).collect()))
    }

    fn tell(&self, finding: Finding, masks: &[Mask], lines: &[Vec<&str>]) -> Option<Diagnostic> {
        let index = usize::from(finding.at.file);
        let (file, mask) = (self.list.get(index)?, masks.get(index)?);
        let scrub = |text: &str| masks.iter().fold(text.to_owned(), |text, mask| mask.scrub(&text));
        let line = lines.get(index)?.get(finding.at.line as usize - 1).copied().unwrap_or_default();
        let place = Place { line: finding.at.line, column: finding.at.column, source: scrub(&mask.line(finding.at.line, line)) };
        // The parser may quote the text that it stumbled over.
        let message =
            if file.tree.is_none() && mask.hides(finding.at.line) { "not valid YAML".to_owned() } else { scrub(&finding.message) };
        let hint = finding.hint.map(|hint| scrub(&hint));
        Some(Diagnostic { file: file.path.clone(), place: Some(place), message, hint })
    }

    fn add(&mut self, path: PathBuf, report: &mut Report) {
        let Ok(number) = u16::try_from(self.list.len()) else { return };
        match read_text(&path) {
            Ok(text) => {
                let tree = match tree::parse(&text, number) {
                    Ok((tree, duplicates)) => {
                        for duplicate in duplicates {
                            let message =
                                format!("key `{}` is there twice: first at line {}", printable(&duplicate.name), duplicate.first.line);
                            report.error_hint(duplicate.second, message, "remove one of them");
                        }
                        Some(tree)
                    }
                    Err(error) => {
                        tell_syntax(report, &text, error);
                        None
                    }
                };
                self.list.push(SourceFile { path, text, tree });
            }
            Err(error) => {
                let hint = (error.kind() == io::ErrorKind::NotFound)
                    .then(|| "name the file with `--config` or SNAPWARDEN_CONFIG; `config/` in the repository has examples".to_owned());
                self.refuse(path, format!("cannot read the configuration: {error}"), hint);
            }
        }
    }

    fn refuse(&mut self, file: PathBuf, message: String, hint: Option<String>) {
        self.unreadable.push(Diagnostic { file, place: None, message, hint });
    }
}

fn tell_syntax(report: &mut Report, text: &str, error: SyntaxError) {
    let line = text.lines().nth(error.at.line as usize - 1).unwrap_or_default();
    let message = format!("not valid YAML: {}", error.message);
    match syntax_hint(line) {
        Some(hint) => report.error_hint(error.at, message, hint),
        None => report.error(error.at, message),
    }
}

/// What most often makes a line like this one invalid.
fn syntax_hint(line: &str) -> Option<&'static str> {
    let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start().trim_start_matches(['-', '[', '{', ' ']);
    if line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
        Some("indent with spaces; YAML does not allow tabs")
    } else if line.contains(": *") || line.contains("- *") || line.contains("[*") || line.contains(", *") || value.starts_with('*') {
        Some("quote cron expressions and name patterns, as in `\"* * * * *\"`: a leading `*` is an alias in YAML")
    } else if value.starts_with('@') {
        Some("quote it, as in `\"@daily\"`: YAML reserves a leading `@`")
    } else if value.starts_with('%') || value.starts_with('`') {
        Some("quote the text: YAML reserves its first character")
    } else {
        None
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", SIZE_MAX / 1024 / 1024)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        io::Error::other(format!("line {line} is not UTF-8 text"))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // To YAML a carriage return ends a line, alone too; places and masks count lines by `\n`.
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The `*.yaml` files in `conf.d` beside the main file, by name. Hidden ones are editors' leftovers.
fn find_more(main: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let fail = |error| (folder.clone(), error);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "yaml") && !is_hidden {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        return Err(fail(io::Error::other(format!("more than {FILES_MAX} files"))));
    }
    paths.sort_unstable();
    Ok(paths)
}
