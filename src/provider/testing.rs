//! A raw server on loopback for tests: it records what it is sent, and answers with scripted bytes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One step of a connection's script, which comes after the first request. At the end of the script the connection is closed.
#[derive(Clone)]
pub(super) enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, with a pause after each time, as long as somebody listens.
    Repeat(&'static str, Duration),
    /// Reads the next request.
    Read,
    /// Says nothing more and keeps the connection.
    Hang,
}

/// The server. Its connections are served by the scripts in their order; further ones are closed without an answer.
pub(super) struct Fake {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(super) async fn start(scripts: Vec<Vec<Act>>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut scripts = scripts.into_iter();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = scripts.next().unwrap_or_default();
                tokio::spawn(serve(stream, script, Arc::clone(&seen)));
            }
        });
        Fake { address, requests }
    }

    /// What came, whole: head and body of each request.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    for act in [vec![Act::Read], script].concat() {
        let sent = match act {
            Act::Send(bytes) => stream.write_all(&bytes).await,
            Act::Repeat(text, pause) => repeat(&mut stream, text, pause).await,
            Act::Read => {
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                Ok(())
            }
            Act::Hang => std::future::pending().await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn repeat(stream: &mut TcpStream, text: &str, pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(text.as_bytes()).await?;
        tokio::time::sleep(pause).await;
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |value| value.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        if stream.read_buf(&mut all).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

/// A whole answer with this status line and further header lines, the last over its connection.
pub(super) fn answer(status: &str, headers: &[&str], body: &str) -> Vec<Act> {
    vec![kept(status, &[headers, &["connection: close"]].concat(), body)]
}

/// A whole answer with this status line and further header lines, after which the connection may be used again.
pub(super) fn kept(status: &str, headers: &[&str], body: &str) -> Act {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    Act::Send(format!("{text}\r\n{body}").into_bytes())
}

/// A whole 200 with this JSON.
pub(super) fn ok(body: &str) -> Vec<Act> {
    answer("200 OK", &["content-type: application/json"], body)
}
