//! One HTTP exchange: read the request, do what was asked as the faults want it, answer.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use super::api::{PREFIX, Reply, Request};
use super::behaviour::{Answer, Behaviour, Edit, Shape};
use super::body::ReplyBody;
use super::ledger::Answered;
use super::paths::Resource;
use super::shared::Shared;

/// How long a request's body may be.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Answers a request. An error makes hyper cut the connection.
pub(super) async fn answer(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> io::Result<Response<ReplyBody>> {
    let Some(request) = read(request).await? else { return too_large() };
    let (record, behaviour) = shared.begin(&request);
    pause(shared.latency + behaviour.delay_before).await;
    let reply = record.perform(&request, &behaviour);
    pause(behaviour.delay_after).await;
    let Some(reply) = shape(reply, &behaviour).await else {
        record.end(Answered::Cut);
        return Err(io::ErrorKind::ConnectionAborted.into());
    };
    let now = shared.lock().now();
    record.end(Answered::Status(reply.status));
    response(reply, &behaviour, now)
}

/// The answer that the behaviour makes of the right one; `None`: the connection is cut. Never ends where the client is to hang.
async fn shape(mut reply: Reply, behaviour: &Behaviour) -> Option<Reply> {
    match &behaviour.answer {
        Answer::Right => reply.body = edited(reply.body, &behaviour.edits),
        Answer::RightStatus { content_type, body } => (reply.content_type, reply.body) = (content_type, body.clone()),
        Answer::Instead { status, content_type, body } => {
            reply = Reply { content_type, ..Reply::json(*status, body.clone()) };
        }
        Answer::Cut => return None,
        Answer::Hang => match pending::<Infallible>().await {},
    }
    Some(reply)
}

/// The body after the edits; one that is no JSON, such as that of a 204, stays as it is.
fn edited(body: Bytes, edits: &[Edit]) -> Bytes {
    if edits.is_empty() {
        return body;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
    for Edit(edit) in edits {
        edit(&mut value);
    }
    value.to_string().into()
}

fn response(reply: Reply, behaviour: &Behaviour, now: Timestamp) -> io::Result<Response<ReplyBody>> {
    let status = StatusCode::from_u16(reply.status).map_err(io::Error::other)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(DATE, http_date(now)?);
    if let Some(wait) = behaviour.retry_after_date {
        headers.insert(RETRY_AFTER, http_date(super::item::later(now, wait))?);
    }
    for (name, value) in reply.headers.iter().chain(&behaviour.headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        headers.insert(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
    }
    // A 204 has no body, so that nothing of it can be slow or cut.
    let shape = if status == StatusCode::NO_CONTENT { Shape::Whole } else { behaviour.shape };
    let mut response = Response::new(ReplyBody::new(reply.body, shape));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Option<Request>> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let path = head.uri.path();
    let inside = path.strip_prefix(PREFIX);
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    Ok(Some(Request {
        path: inside.unwrap_or(path).to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        resource: inside.and_then(Resource::of),
        authorization: text(AUTHORIZATION).map(str::to_owned),
        content_type: text(CONTENT_TYPE).unwrap_or_default().to_owned(),
        body,
        method: head.method,
    }))
}

fn too_large() -> io::Result<Response<ReplyBody>> {
    let mut response = Response::new(ReplyBody::new(Bytes::new(), Shape::Whole));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

fn http_date(time: Timestamp) -> io::Result<HeaderValue> {
    HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::from(time))).map_err(io::Error::other)
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}
