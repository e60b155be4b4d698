//! One exchange with the provider: through the gate, with the token, within its time, told to the observer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Response, Url};

use super::body::{Body, Parsed, ReadBody, describe};
use super::budget::{Class, Outcome};
use super::error::ProviderError;
use super::exchange::{Code, Endpoint, Exchange, Method, Observer};
use super::gate::Gate;
use super::leave::Leave;
use super::retry_after;
use super::text::without_token;
use super::token::TokenSource;
use super::wire::{read_account, read_message};
use super::{Account, Reply};
use crate::clock::{Clock, Mono};
use crate::outgoing;

/// The longest time for a connection to come about, TLS included. Where the whole request has little time, half of that: a connection that fails
/// is certain to have done nothing, a request that runs out of time is not.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next request, which saves that one a handshake. Servers close those that nothing came over for some seconds, and one
/// that does so just as a create goes out leaves it in doubt: none must be kept for as long as that.
const KEPT_MAX: Duration = Duration::from_secs(1);

/// A listing may take this many times `request_timeout` in all, as long as no pause in it is longer than `request_timeout`.
const LISTING_TIMES: u32 = 10;

/// How to reach the provider (contract §1, `provider`).
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// The base of all paths. `https`; `http` only for a loopback address.
    pub base_url: String,
    /// The longest time for one exchange, counted from its sending; for listings, the longest pause in it.
    pub request_timeout: Duration,
    /// The budget, in requests a second.
    pub requests_per_second: f64,
    /// How many requests may be under way at a time.
    pub concurrent_requests: usize,
    /// The account that the token must belong to, by its mail address; none: any.
    pub account: Option<String>,
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The base URL is not one.
    #[error("use `provider.url`: it is not a URL: {0}")]
    Url(String),
    /// The token would travel in the open.
    #[error("use `provider.url`: it must begin with https:// (http:// is only for a loopback address)")]
    NotPrivate,
    /// The base URL has parts that a base cannot have.
    #[error("use `provider.url`: it must not have a user, a password, a query or a fragment")]
    NotABase,
    /// The HTTP client cannot be made, e.g. because the machine has no CA certificates.
    #[error("make the HTTP client: {0}")]
    Client(String),
}

/// How much of a body is ever read, in bytes, and for how long where only people will read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) listing: u64,
    pub(super) other: u64,
    pub(super) refusal: u64,
    pub(super) refusal_time: Duration,
}

/// A listing of 150,000 items has about 35 MB. The words of a refusal are waited for only shortly: the refusal itself is known by then.
const LIMITS: Limits = Limits { listing: 64 << 20, other: 1 << 20, refusal: 64 << 10, refusal_time: Duration::from_secs(2) };

/// A request, ready but for the token.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) endpoint: Endpoint,
    pub(super) url: Url,
    pub(super) class: Class,
    pub(super) body: Vec<u8>,
    /// Not to be let through after this.
    pub(super) until: Option<Mono>,
}

impl Request {
    /// Whether the status is a success that is documented for such a request. In a create's answer the body is the proof, not the number.
    fn accepts(&self, status: u16) -> bool {
        match self.method {
            Method::Get => status == 200,
            Method::Post => matches!(status, 200..=202),
            Method::Delete => status == 204,
        }
    }

    fn is_write(&self) -> bool {
        self.method != Method::Get
    }

    fn is_listing(&self) -> bool {
        self.class == Class::List
    }
}

/// What has been heard of an answer, however it ends.
#[derive(Default)]
struct Heard {
    status: Option<u16>,
    date: Option<Timestamp>,
}

/// When an exchange was begun, and how long it may take; a listing more than once so long.
#[derive(Clone, Copy)]
struct Span {
    begun: Mono,
    timeout: Duration,
}

pub(super) struct Api {
    pub(super) client: Client,
    base: Url,
    request_timeout: Duration,
    token: TokenSource,
    account: Option<String>,
    gate: Gate,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    pub(super) leave: Arc<dyn Leave>,
    pub(super) limits: Limits,
}

impl Api {
    pub(super) fn new(
        settings: &HttpSettings,
        token: TokenSource,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Api, SetupError> {
        let base = base_url(&settings.base_url)?;
        Ok(Api {
            client: client(settings, base.scheme() == "https", KEPT_MAX)?,
            base,
            request_timeout: settings.request_timeout,
            token,
            account: settings.account.clone(),
            gate: Gate::new(settings.requests_per_second, settings.concurrent_requests, Arc::clone(&clock)),
            clock,
            observer,
            leave: Arc::new(()),
            limits: LIMITS,
        })
    }

    /// The address of an endpoint. `id` goes where its template has one.
    pub(super) fn url(&self, endpoint: Endpoint, id: u64) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), endpoint.path(id)));
        url
    }

    /// Sends the request once. After a refused token it reads the token again, and if that has changed, sends the request with the new one:
    /// what was refused so was certainly not done. Where the account is given, a token is used for nothing before it is known to be of that.
    pub(super) async fn call<R: ReadBody>(&self, request: &Request, reader: &R) -> Reply<R::Out> {
        let token = match self.token.kept() {
            Some(token) => Ok(token),
            None => self.try_out(self.token.fetch()).await,
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => return Reply::unsent(error),
        };
        let reply = self.exchange(request, token.clone(), reader).await;
        let Some(renewed) = self.renewed(&reply, &token) else { return reply };
        match self.try_out(Ok(renewed)).await {
            Ok(renewed) => self.exchange(request, renewed, reader).await,
            Err(error) => Reply { result: Err(error), ..reply },
        }
    }

    /// The token as it is read again, where the one that was sent was refused and this is another one.
    fn renewed<T>(&self, reply: &Reply<T>, sent: &HeaderValue) -> Option<HeaderValue> {
        let refused = matches!(reply.result, Err(ProviderError::Unauthorized));
        refused.then(|| self.token.renewed(sent)).flatten()
    }

    /// Keeps a token that was read, once it is known to be of the account that it must be of.
    async fn try_out(&self, token: Result<HeaderValue, ProviderError>) -> Result<HeaderValue, ProviderError> {
        let token = token?;
        if let Some(wanted) = &self.account {
            let account = self.exchange(&self.whose(), token.clone(), &Parsed(read_account)).await.result.map_err(unconfirmed)?;
            if !account.is(wanted) {
                return Err(ProviderError::Token { what: format!("it belongs to {}, not to {wanted}", account.title()) });
            }
        }
        self.token.keep(token.clone());
        Ok(token)
    }

    /// Asks whose the token is. Where the account is given, the token is read for that if it was refused or is of another one, and else kept.
    pub(super) async fn ask_whose(&self) -> Reply<Account> {
        let (request, reader) = (self.whose(), Parsed(read_account));
        let Some(wanted) = &self.account else { return self.call(&request, &reader).await };
        let mut token = match self.token.kept().map_or_else(|| self.token.fetch(), Ok) {
            Ok(token) => token,
            Err(error) => return Reply::unsent(error),
        };
        let mut reply = self.exchange(&request, token.clone(), &reader).await;
        if let Some(renewed) = self.renewed(&reply, &token) {
            reply = self.exchange(&request, renewed.clone(), &reader).await;
            token = renewed;
        }
        match &reply.result {
            Ok(account) if account.is(wanted) => self.token.keep(token),
            Ok(_) => self.token.forget(),
            Err(_) => {}
        }
        reply
    }

    /// The question whose the token is.
    fn whose(&self) -> Request {
        let endpoint = Endpoint::Account;
        Request { method: Method::Get, endpoint, url: self.url(endpoint, 0), class: Class::Other, body: Vec::new(), until: None }
    }

    async fn exchange<R: ReadBody>(&self, request: &Request, token: HeaderValue, reader: &R) -> Reply<R::Out> {
        let permit = match self.gate.enter(request.class).await {
            Ok(permit) => permit,
            Err(left) => return Reply::unsent(ProviderError::Throttled { retry_after: Some(left) }),
        };
        if request.until.is_some_and(|until| permit.begun() > until) {
            permit.finish(Outcome::Answered);
            return Reply::unsent(ProviderError::Outdated);
        }
        // Here and not earlier: nothing but the sending comes after it.
        let Some(leave) = (if request.is_write() { self.leave.given() } else { Some(Duration::MAX) }) else {
            permit.finish(Outcome::Answered);
            return Reply::unsent(ProviderError::NotInCharge);
        };
        let begun = permit.begun();
        let mut heard = Heard::default();
        let result = self
            .converse(request, token.clone(), reader, Span { begun, timeout: self.request_timeout.min(leave) }, &mut heard)
            .await
            .map_err(|error| without(&token, error));
        permit.finish(outcome(&result));
        let code = match &result {
            Ok(_) => heard.status.map_or(Code::Body, Code::Status),
            Err(error) => error.code(),
        };
        let duration = self.clock.now().mono.since(begun);
        self.observer.exchange(&Exchange { method: request.method, endpoint: request.endpoint, code, duration });
        Reply { result, date: heard.date, begun: Some(begun) }
    }

    async fn converse<R: ReadBody>(
        &self,
        request: &Request,
        token: HeaderValue,
        reader: &R,
        span: Span,
        heard: &mut Heard,
    ) -> Result<R::Out, ProviderError> {
        let Span { begun, timeout } = span;
        let sent = tokio::time::timeout(timeout, self.outgoing(request, token).send()).await;
        let response = sent.map_err(|_| ProviderError::Timeout)?.map_err(sending_error)?;
        let status = response.status().as_u16();
        heard.status = Some(status);
        heard.date = header(response.headers(), DATE).and_then(retry_after::date);
        if !request.accepts(status) {
            return Err(self.refusal(status, heard.date, response).await);
        }
        if request.is_listing() {
            refuse_cached(response.headers())?;
        }
        let (times, limit) = if request.is_listing() { (LISTING_TIMES, self.limits.listing) } else { (1, self.limits.other) };
        let time_left = (timeout * times).saturating_sub(self.clock.now().mono.since(begun));
        let body = Body::new(response, timeout, limit);
        tokio::time::timeout(time_left, reader.read(body)).await.unwrap_or(Err(ProviderError::Timeout))
    }

    fn outgoing(&self, request: &Request, token: HeaderValue) -> reqwest::RequestBuilder {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, request.url.clone()).header(AUTHORIZATION, token).header(ACCEPT, "application/json");
        if request.method == Method::Get {
            builder = builder.header(CACHE_CONTROL, "no-cache");
        }
        if request.method == Method::Post && request.body.is_empty() {
            // The client leaves it out for an empty body, and some servers then answer 411.
            builder = builder.header(CONTENT_LENGTH, 0);
        } else if !request.body.is_empty() {
            builder = builder.header(CONTENT_TYPE, "application/json").body(request.body.clone());
        }
        builder
    }

    /// What an answer means that is no success. The status decides; the provider's words are for people and may be missing.
    async fn refusal(&self, status: u16, date: Option<Timestamp>, response: Response) -> ProviderError {
        let now = date.unwrap_or_else(|| self.clock.now().wall);
        let pause = header(response.headers(), RETRY_AFTER).and_then(|value| retry_after::parse(value, now));
        let mut message = String::new();
        if (400..500).contains(&status) {
            let time_max = self.request_timeout.min(self.limits.refusal_time);
            let body = Body::new(response, time_max, self.limits.refusal);
            if let Ok(Ok(bytes)) = tokio::time::timeout(time_max, body.whole()).await {
                message = read_message(&bytes);
            }
        }
        ProviderError::from_status(status, pause, message)
    }
}

/// Why a token that was read is not used, where it cannot be told whose it is: nothing was sent with it but that question.
fn unconfirmed(error: ProviderError) -> ProviderError {
    let what = format!("it cannot be confirmed whose the token is: {error}");
    match error {
        ProviderError::Unauthorized | ProviderError::Token { .. } | ProviderError::Throttled { .. } => error,
        error if error.is_provider_down() => ProviderError::Connect { what },
        _ => ProviderError::Token { what },
    }
}

/// The error without the token that was sent: the provider's words may contain it.
fn without(token: &HeaderValue, error: ProviderError) -> ProviderError {
    let token = token.to_str().ok().and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if token.is_empty() { error } else { error.with_texts(|text| without_token(text, token)) }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A listing that a cache kept may be older than our last write (F32). `no-cache` was asked for, so an age is somebody's mistake.
fn refuse_cached(headers: &HeaderMap) -> Result<(), ProviderError> {
    match header(headers, AGE).and_then(|age| age.trim().parse::<u64>().ok()) {
        Some(age_s) if age_s > 0 => Err(ProviderError::Unreadable { what: format!("it comes from a cache and is {age_s} s old") }),
        _ => Ok(()),
    }
}

fn sending_error(error: reqwest::Error) -> ProviderError {
    if error.is_connect() || error.is_builder() {
        ProviderError::Connect { what: describe(error) }
    } else if error.is_timeout() {
        ProviderError::Timeout
    } else {
        ProviderError::Broken { what: describe(error) }
    }
}

fn outcome<T>(result: &Result<T, ProviderError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Answered,
        Err(ProviderError::Throttled { retry_after }) => Outcome::Throttled(*retry_after),
        Err(ProviderError::Server { status: 503, retry_after: Some(pause) }) => Outcome::Throttled(Some(*pause)),
        Err(error) if error.is_doubtful() || matches!(error, ProviderError::Connect { .. }) => Outcome::Silent,
        Err(_) => Outcome::Answered,
    }
}

fn base_url(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|error| SetupError::Url(error.to_string()))?;
    let private = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    };
    if !private {
        return Err(SetupError::NotPrivate);
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(SetupError::NotABase);
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// `kept`: how long a connection may wait for the next request.
pub(super) fn client(settings: &HttpSettings, tls: bool, kept: Duration) -> Result<Client, SetupError> {
    let builder = outgoing::client(tls)
        .connect_timeout(CONNECT_TIME_MAX.min(settings.request_timeout / 2))
        .pool_max_idle_per_host(settings.concurrent_requests)
        .pool_idle_timeout(kept);
    builder.build().map_err(|error| SetupError::Client(describe(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::provider::body::Ignored;
    use crate::provider::testing::{Act, Fake, answer};

    #[test]
    fn only_private_bases() {
        for text in ["https://admin.vps.org/api/v1", "http://127.0.0.1:9", "http://[::1]:9/api", "http://localhost:9/"] {
            assert!(base_url(text).is_ok(), "{text}");
        }
        for text in ["http://admin.vps.org/api/v1", "http://127.0.0.1.example.org/", "ftp://127.0.0.1/", "file:///etc", "http://10.0.0.1/"]
        {
            assert_eq!(base_url(text), Err(SetupError::NotPrivate), "{text}");
        }
        for text in ["https://a:b@admin.vps.org/", "https://admin.vps.org/?a=b", "https://admin.vps.org/#x"] {
            assert_eq!(base_url(text), Err(SetupError::NotABase), "{text}");
        }
        assert!(matches!(base_url("admin.vps.org"), Err(SetupError::Url(_))));
    }

    /// A server that does not speak TLS, or does not get on with it, never sees the request.
    #[tokio::test]
    async fn without_tls_nothing_is_sent() {
        let speaks = Fake::start(vec![answer("200 OK", &[], "{}")]).await;
        let silent = Fake::start(vec![vec![Act::Hang]]).await;
        for fake in [speaks, silent] {
            let settings = HttpSettings {
                base_url: format!("https://{}", fake.address),
                request_timeout: Duration::from_millis(200),
                requests_per_second: 1000.0,
                concurrent_requests: 1,
                account: None,
            };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let api = Api {
                // The machine that tests may have no CA certificates; none are needed to fail here.
                client: client(&settings, false, KEPT_MAX).unwrap(),
                base: base_url(&settings.base_url).unwrap(),
                request_timeout: settings.request_timeout,
                token: TokenSource::fixed("vps_abc".into()),
                account: None,
                gate: Gate::new(1000.0, 1, Arc::clone(&clock)),
                clock,
                observer: Arc::new(()),
                leave: Arc::new(()),
                limits: LIMITS,
            };
            let (endpoint, body) = (Endpoint::Snapshots, b"{}".to_vec());
            let request = Request { method: Method::Post, endpoint, url: api.url(endpoint, 0), class: Class::Create, body, until: None };
            let error = api.call(&request, &Ignored).await.result.unwrap_err();
            assert!(matches!(&error, ProviderError::Connect { .. }) && !error.is_doubtful(), "{error:?}");
            assert!(fake.requests().iter().all(|request| !request.contains("vps_abc")));
        }
    }
}
