//! A client that sends one request on a connection of its own and shows whatever comes back.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::Emulator;

pub(super) struct Client {
    port: u16,
    pub token: String,
}

/// What came back until the server closed the connection.
#[derive(Debug)]
pub(super) struct Raw {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Client {
    pub fn of(emulator: &Emulator) -> Client {
        Client { port: emulator.port(), token: emulator.token() }
    }

    pub async fn get(&self, path: &str) -> Raw {
        self.call("GET", path, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Raw {
        self.call("POST", path, Some(&body.to_string())).await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Raw {
        self.call("DELETE", path, None).await.unwrap()
    }

    /// `None`: the connection was closed without an answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&str>) -> Option<Raw> {
        let mut stream = self.send(method, path, body).await;
        let mut bytes = Vec::new();
        // A reset after a part of the answer is an end too.
        let _end = stream.read_to_end(&mut bytes).await;
        Raw::parse(&bytes)
    }

    /// The first `bytes` of an answer, and whether nothing more came within `quiet`.
    pub async fn start_of_get(&self, path: &str, body_bytes: usize, quiet: Duration) -> (Raw, bool) {
        let mut stream = self.send("GET", path, None).await;
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            if let Some(raw) = Raw::parse(&bytes).filter(|raw| raw.body.len() >= body_bytes) {
                let silent = tokio::time::timeout(quiet, stream.read_buf(&mut bytes)).await.is_err();
                return (raw, silent);
            }
        }
    }

    /// Sends a request and leaves the connection open, for as long as the result lives.
    pub async fn send(&self, method: &str, path: &str, body: Option<&str>) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let token = if self.token.is_empty() { String::new() } else { format!("authorization: Bearer {}\r\n", self.token) };
        let content = body.map(|body| format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{token}{}\r\n", content.unwrap_or_default());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.unwrap_or_default().as_bytes()).await.unwrap();
        stream
    }
}

impl Raw {
    fn parse(bytes: &[u8]) -> Option<Raw> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Raw { status, head, body: bytes[end + 4..].to_vec() })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn ids(&self) -> Vec<u64> {
        self.json()["results"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}
