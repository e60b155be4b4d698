//! A command's end: an order, and the answers to it.

use std::io;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::lines::Lines;
use super::protocol::{ANSWER_BYTES_MAX, Answer, Order, ProtocolError, order_line, read_answer};
use super::socket;

/// A daemon that has said nothing for so long is stuck: it says every few seconds that it is there.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection to the daemon.
#[derive(Debug)]
pub struct Connection {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Why a conversation ended too early.
#[derive(Debug, Error)]
pub enum ConversationError {
    /// The daemon's process has ended, or has closed the connection.
    #[error("hear from the daemon: it has gone away")]
    Gone,
    /// Nothing came.
    #[error("hear from the daemon: it has been silent for {} s", SILENCE_MAX.as_secs())]
    Silent,
    /// It cannot be understood.
    #[error("understand the daemon")]
    Protocol(#[from] ProtocolError),
    /// The connection does not work.
    #[error("talk to the daemon")]
    Io(#[from] io::Error),
}

impl Connection {
    /// Connects to the daemon that holds a state folder.
    ///
    /// # Errors
    /// If nobody listens there, or it is not allowed.
    pub async fn open(folder: &Path) -> io::Result<Connection> {
        let (reader, writer) = socket::connect(folder).await?.into_split();
        Ok(Connection { lines: Lines::new(reader, ANSWER_BYTES_MAX), writer })
    }

    /// Gives the order.
    ///
    /// # Errors
    /// If the daemon does not take it. One that has refused the connection has said why; that is the next answer then.
    pub async fn ask(&mut self, order: &Order) -> Result<(), ConversationError> {
        let line = order_line(order)?;
        match timeout(SILENCE_MAX, self.writer.write_all(&line)).await.map_err(|_| ConversationError::Silent)? {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The next answer. Nothing of it is lost if this is given up and called again.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next(&mut self) -> Result<Answer, ConversationError> {
        let line = timeout(SILENCE_MAX, self.lines.next()).await.map_err(|_| ConversationError::Silent)?;
        match line {
            Ok(Some(line)) => Ok(read_answer(&line)?),
            Ok(None) => Err(ConversationError::Gone),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Err(ConversationError::Gone)
            }
            Err(error) => Err(error.into()),
        }
    }
}
