//! Bodies of answers: bounded in length and in time, whole or piece by piece.

use std::future::Future;
use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::outgoing;

use super::error::ProviderError;
use super::gather::Gather;
use super::page::{Page, read_page, read_whole_page};
use super::text::{MESSAGE_CHARS_MAX, printable};

/// How many pieces may wait for the reader of a page; more would only be memory.
const PIECES_WAITING_MAX: usize = 4;

/// A page of a listing that says to be no longer is taken in as a whole before it is read, which is faster.
const WHOLE_PAGE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The body of one answer, not yet read.
pub(super) struct Body {
    response: reqwest::Response,
    idle_max: Duration,
    limit: u64,
    left: u64,
}

impl Body {
    /// At most `limit` bytes are read, and no pause between two pieces may be longer than `idle_max`.
    pub(super) fn new(response: reqwest::Response, idle_max: Duration, limit: u64) -> Body {
        Body { response, idle_max, limit, left: limit }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let received = tokio::time::timeout(self.idle_max, self.response.chunk()).await.map_err(|_| ProviderError::Timeout)?;
        let Some(bytes) = received.map_err(broken)? else {
            return Ok(None);
        };
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(ProviderError::TooLarge { limit: self.limit })?;
        Ok(Some(bytes))
    }

    /// Whether it says how long it is, and that is not long.
    fn is_short(&self) -> bool {
        self.response.content_length().is_some_and(|length| length <= WHOLE_PAGE_BYTES_MAX)
    }

    /// The whole of it.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, ProviderError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.piece().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// What the system says about an error of the HTTP client.
pub(super) fn describe(error: reqwest::Error) -> String {
    printable(&outgoing::describe(error), MESSAGE_CHARS_MAX)
}

fn broken(error: reqwest::Error) -> ProviderError {
    if error.is_timeout() { ProviderError::Timeout } else { ProviderError::Broken { what: describe(error) } }
}

/// How to read the body of a success.
pub(super) trait ReadBody: Sync {
    /// What comes out.
    type Out: Send;
    /// Reads it.
    fn read(&self, body: Body) -> impl Future<Output = Result<Self::Out, ProviderError>> + Send;
}

/// Does not look at it.
pub(super) struct Ignored;

impl ReadBody for Ignored {
    type Out = ();

    async fn read(&self, _: Body) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// As a whole, by this function.
pub(super) struct Parsed<F>(pub(super) F);

impl<T: Send, F: Fn(&[u8]) -> Result<T, ProviderError> + Sync> ReadBody for Parsed<F> {
    type Out = T;

    async fn read(&self, body: Body) -> Result<T, ProviderError> {
        let bytes = body.whole().await?;
        (self.0)(&bytes)
    }
}

/// As a page of a listing. Where it is long, each entry is converted while the rest is still on its way.
pub(super) struct Entries<G>(pub(super) G);

impl<G: Gather + Sync> ReadBody for Entries<G> {
    type Out = Page<G>;

    async fn read(&self, body: Body) -> Result<Page<G>, ProviderError> {
        let entries = self.0.empty();
        let reader = if body.is_short() {
            let bytes = body.whole().await?;
            spawn_blocking(move || read_whole_page(&bytes, entries))
        } else {
            let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
            let reader = spawn_blocking(move || read_page(Pieces { receiver, piece: Bytes::new(), ended: false }, entries));
            // Should the transport fail, the reader sees that pieces are missing and ends as well; the transport's error is then the one to tell.
            hand_over(body, sender).await?;
            reader
        };
        match reader.await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => Err(ProviderError::Unreadable { what: printable(&error.to_string(), MESSAGE_CHARS_MAX) }),
            Err(_) => Err(ProviderError::Unreadable { what: "the reader of the listing failed".into() }),
        }
    }
}

/// A piece of the body; none: that was all of it.
type Piece = Option<Bytes>;

/// Hands the body over piece by piece, until it ends or the reader has seen enough.
async fn hand_over(mut body: Body, reader: mpsc::Sender<Piece>) -> Result<(), ProviderError> {
    loop {
        let piece = body.piece().await?;
        let ended = piece.is_none();
        if reader.send(piece).await.is_err() || ended {
            return Ok(());
        }
    }
}

/// The pieces as a blocking reader. A sender that goes away before the last piece is an error: half a list must never look like a whole one.
struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.split_to(length).copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
