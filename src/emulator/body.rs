//! Bodies that travel as a fault wants them to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::behaviour::Shape;

/// How many spaces of an endless body go at once.
const ENDLESS_CHUNK: &[u8] = &[b' '; 16 * 1024];

/// The body of an answer.
pub(super) enum ReplyBody {
    Whole(Bytes),
    Partial { rest: Bytes, promised: u64, then: Then },
    Slow { rest: Bytes, each_byte: Duration, pause: Pin<Box<Sleep>> },
    Endless { start: Bytes, left: u64 },
}

/// What follows the sent part of a body.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// The connection is cut, once what was sent has been flushed.
    Flush,
    Cut,
    /// Nothing more comes.
    Silence,
}

impl ReplyBody {
    pub fn new(body: Bytes, shape: Shape) -> ReplyBody {
        let promised = body.len() as u64;
        match shape {
            Shape::Whole => ReplyBody::Whole(body),
            Shape::Truncated { kept } => ReplyBody::Partial { rest: body.slice(..kept.min(body.len())), promised, then: Then::Flush },
            Shape::Stalled { kept } => ReplyBody::Partial { rest: body.slice(..kept.min(body.len())), promised, then: Then::Silence },
            Shape::Slow { each_byte } => ReplyBody::Slow { rest: body, each_byte, pause: Box::pin(sleep(each_byte)) },
            Shape::Endless { bytes } => ReplyBody::Endless { start: Bytes::from_static(b"{\"count\": 1, \"results\": ["), left: bytes },
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            ReplyBody::Whole(body) => frame(std::mem::take(body)),
            ReplyBody::Partial { rest, .. } if !rest.is_empty() => frame(std::mem::take(rest)),
            ReplyBody::Partial { then, .. } => then.poll(context),
            ReplyBody::Slow { rest, .. } if rest.is_empty() => Poll::Ready(None),
            ReplyBody::Slow { rest, each_byte, pause } => {
                ready!(pause.as_mut().poll(context));
                *pause = Box::pin(sleep(*each_byte));
                frame(rest.split_to(1))
            }
            ReplyBody::Endless { start, .. } if !start.is_empty() => frame(std::mem::take(start)),
            ReplyBody::Endless { left, .. } => {
                let size = ENDLESS_CHUNK.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= size as u64;
                frame(Bytes::from_static(&ENDLESS_CHUNK[..size]))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ReplyBody::Whole(body) if body.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(rest) | ReplyBody::Slow { rest, .. } => SizeHint::with_exact(rest.len() as u64),
            ReplyBody::Partial { promised, .. } => SizeHint::with_exact(*promised),
            ReplyBody::Endless { .. } => SizeHint::default(),
        }
    }
}

impl Then {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self {
            // hyper drops what it has not yet written when a body fails, and writes while a body is pending.
            Then::Flush => {
                *self = Then::Cut;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Cut => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            Then::Silence => Poll::Pending,
        }
    }
}

fn frame(data: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
    Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
}
