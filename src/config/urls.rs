//! Addresses: of the provider and of those who are told.

use url::{Host, ParseError, Url};

use super::report::{Field, Report};

/// The provider's root: https, or http for a loopback address; nothing in it that a request adds.
pub(super) fn read_provider(field: Field<'_>, report: &mut Report) -> Option<Url> {
    let mut url = read(field, report)?;
    let at = field.node?.span;
    if url.scheme() == "http" && !is_loopback(&url) {
        let message = "`url`: http is only allowed for a loopback address, since it would send the token in clear";
        report.error_hint(at, message, "write `https://…`; `http://127.0.0.1:PORT/…` is for an emulator on this machine");
        return None;
    }
    if url.query().is_some() {
        report.error(at, "`url` must not have a query (`?…`)");
        return None;
    }
    // Endpoints are joined to it; without the slash the last part of the path would be replaced.
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

/// Where notices go. Inside a private network plain http is usual.
pub(super) fn read_notify(field: Field<'_>, query_allowed: bool, report: &mut Report) -> Option<Url> {
    let url = read(field, report)?;
    if !query_allowed && url.query().is_some() {
        report.error(field.node?.span, format!("`{}` must not have a query (`?…`): `/start` and `/fail` are added to it", field.name));
        return None;
    }
    Some(url)
}

/// An http or https address without credentials and fragment. Its text is not shown: it may hold a password.
fn read(field: Field<'_>, report: &mut Report) -> Option<Url> {
    let text = report.text(field)?;
    let at = field.node?.span;
    let name = field.name;
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let hint = match error {
                // What would turn them into ASCII is left out: docs/decisions.md, "Built for size".
                ParseError::IdnaError => "write names with letters beyond ASCII as DNS has them (`xn--…`)",
                _ => "write it whole, as in `https://example.org/path`",
            };
            report.error_hint(at, format!("`{name}` is not a URL: {error}"), hint);
            return None;
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        report.error_hint(at, format!("`{name}` must be an https URL"), "write it whole, as in `https://example.org/path`");
    } else if !url.username().is_empty() || url.password().is_some() {
        report.error_hint(at, format!("`{name}` must not have a user name or password in it"), "remove what stands before the `@`");
    } else if url.fragment().is_some() {
        report.error(at, format!("`{name}` must not have a fragment (`#…`)"));
    } else {
        return Some(url);
    }
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // The name is reserved for it (RFC 6761).
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}
