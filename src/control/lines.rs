//! Lines of bounded length out of a stream.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads lines. What was read of a line stays when waiting for the rest of it is given up.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most this many bytes, with the end of the line.
    pub fn new(reader: R, bytes_max: usize) -> Lines<R> {
        Lines { reader: BufReader::new(reader), line: Vec::new(), bytes_max }
    }

    /// The next line with its end; none at the end of the stream.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ends in the middle of a line");
                return if self.line.is_empty() { Ok(None) } else { Err(cut) };
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(chunk.len(), |index| index + 1);
            if self.line.len() + length > self.bytes_max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {} bytes", self.bytes_max)));
            }
            self.line.extend(chunk.iter().take(length));
            self.reader.consume(length);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_bounded() {
        let mut lines = Lines::new(&b"one\n\ntwo\nthr"[..], 4);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one\n");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"\n");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"two\n");
        assert_eq!(lines.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(Lines::new(&b"four\n"[..], 4).next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(Lines::new(&b"no end"[..], 4).next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(Lines::new(&b""[..], 4).next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_was_read_stays_when_waiting_is_given_up() {
        let (mut sender, receiver) = tokio::io::duplex(64);
        let mut lines = Lines::new(receiver, 64);
        tokio::io::AsyncWriteExt::write_all(&mut sender, b"first ").await.unwrap();
        tokio::select! {
            biased;
            _ = lines.next() => panic!("the line has no end yet"),
            () = std::future::ready(()) => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut sender, b"half\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"first half\n");
    }
}
