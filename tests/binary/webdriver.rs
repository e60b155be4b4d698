//! A headless Chromium, driven by its WebDriver: as much of that protocol as the tests need.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::free_port;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key under which WebDriver tells the number of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a fresh profile; it ends with its test.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    folder: tempfile::TempDir,
}

/// A browser, where Debian's packages `chromium` and `chromium-driver` are installed. Under `CI=true` they must be.
pub async fn browser() -> Option<Browser> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if let (Some(driver), Some(chromium)) = (find("chromedriver"), find("chromium")) {
        return Some(Browser::start(driver, chromium).await);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI needs chromium and chromedriver");
    println!("skipped: there is no chromium with its chromedriver (Debian: chromium, chromium-driver)");
    None
}

impl Browser {
    async fn start(driver: PathBuf, chromium: PathBuf) -> Browser {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let driver = Command::new(driver).arg(format!("--port={port}")).stdout(log).stderr(Stdio::null()).spawn().unwrap();
        let mut browser = Browser { driver, port, session: String::new(), folder };
        browser.wait("the driver listens", |browser| TcpStream::connect(("127.0.0.1", browser.port)).is_ok()).await;
        let profile = format!("--user-data-dir={}", browser.folder.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &profile,
        ];
        let options = json!({"binary": chromium, "args": arguments});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let made = browser.send("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}})).unwrap();
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Sends a command to the driver; what it answers, or the word for its refusal.
    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut answer: Value = self.exchange(method, path, &body).and_then(|text| Ok(serde_json::from_slice(&text)?)).unwrap();
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"])),
            None => Ok(value),
        }
    }

    /// The body of the driver's answer. The driver does not close its connections, so its length counts.
    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}", self.port, body.len());
        write!(stream, "{head}\r\nContent-Type: application/json\r\n\r\n{body}")?;
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':').filter(|_| line != "\r\n") else {
                if line.starts_with("HTTP/") {
                    continue;
                }
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text)?;
        Ok(text)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.send(method, &format!("/session/{}{path}", self.session), body)
    }

    /// Waits until something is true.
    pub async fn wait(&self, what: &str, wished: impl Fn(&Browser) -> bool) {
        let waiting = async {
            while !wished(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({"url": url})).unwrap();
    }

    pub fn address(&self) -> String {
        self.command("GET", "/url", &Value::Null).unwrap().as_str().unwrap().to_owned()
    }

    /// What a function's body gives back that is run in the page.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []})).unwrap()
    }

    /// A command of Chromium's own protocol.
    pub fn chromium(&self, command: &str, parameters: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).unwrap();
    }

    /// What an open dialogue such as an alert says.
    pub fn dialogue(&self) -> Option<Value> {
        self.command("GET", "/alert/text", &Value::Null).ok()
    }

    /// The lines of the console since the last call: errors, warnings, violations of the page's policy.
    pub fn console(&self) -> Vec<String> {
        let lines = self.command("POST", "/se/log", &json!({"type": "browser"})).unwrap();
        lines.as_array().unwrap().iter().map(|line| format!("{} {}", line["level"], line["message"])).collect()
    }

    fn elements(&self, selector: &str) -> Vec<String> {
        let found = self.command("POST", "/elements", &json!({"using": "css selector", "value": selector})).unwrap();
        found.as_array().unwrap().iter().map(|element| element[ELEMENT].as_str().unwrap().to_owned()).collect()
    }

    /// How many elements there are.
    pub fn count(&self, selector: &str) -> usize {
        self.elements(selector).len()
    }

    /// Whether the first such element can be seen.
    pub fn shows(&self, selector: &str) -> bool {
        let shown = |id: &String| self.command("GET", &format!("/element/{id}/displayed"), &Value::Null).unwrap() == true;
        self.elements(selector).first().is_some_and(shown)
    }

    /// The text of the first such element, as it is seen.
    pub fn text(&self, selector: &str) -> String {
        let element = &self.elements(selector)[0];
        self.command("GET", &format!("/element/{element}/text"), &Value::Null).unwrap().as_str().unwrap().to_owned()
    }

    pub fn click(&self, selector: &str) {
        let element = &self.elements(selector)[0];
        self.command("POST", &format!("/element/{element}/click"), &json!({})).unwrap();
    }

    /// Types into the first such element.
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = &self.elements(selector)[0];
        self.command("POST", &format!("/element/{element}/value"), &json!({"text": text})).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; the driver may have ended by itself.
        let _asked = self.exchange("DELETE", &format!("/session/{}", self.session), "");
        let _ended = (self.driver.kill(), self.driver.wait());
    }
}
