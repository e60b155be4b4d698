//! Paths of the API, and patterns of them.

use crate::domain::inventory::{ItemId, Kind, ServerId};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/snapshots/` or `/backups/`.
    Items(Kind),
    /// `/snapshots/{id}/` or `/backups/{id}/`.
    Item(Kind, ItemId),
    /// `/snapshots/{id}/restore/`.
    SnapshotRestore(ItemId),
    /// `/servers/{id}/restore/`.
    ServerRestore(ServerId),
    /// `/servers/`.
    Servers,
    /// `/account/me/`.
    Me,
}

impl Resource {
    /// What a path (without `/api/v1`) names; `None`: nothing.
    pub fn of(path: &str) -> Option<Resource> {
        let inner = path.strip_prefix('/')?.strip_suffix('/')?;
        let segments: Vec<&str> = inner.split('/').collect();
        match segments[..] {
            ["snapshots"] => Some(Resource::Items(Kind::Snapshot)),
            ["backups"] => Some(Resource::Items(Kind::Backup)),
            ["snapshots", id] => Some(Resource::Item(Kind::Snapshot, ItemId(number(id)?))),
            ["backups", id] => Some(Resource::Item(Kind::Backup, ItemId(number(id)?))),
            ["snapshots", id, "restore"] => Some(Resource::SnapshotRestore(ItemId(number(id)?))),
            ["servers", id, "restore"] => Some(Resource::ServerRestore(ServerId(number(id)?))),
            ["servers"] => Some(Resource::Servers),
            ["account", "me"] => Some(Resource::Me),
            _ => None,
        }
    }

    /// The kind of item it is about.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Resource::Items(kind) | Resource::Item(kind, _) => Some(kind),
            Resource::SnapshotRestore(_) => Some(Kind::Snapshot),
            Resource::ServerRestore(_) => Some(Kind::Backup),
            Resource::Servers | Resource::Me => None,
        }
    }

    /// The methods it takes, as the `Allow` header has them.
    pub fn allow(self) -> &'static str {
        match self {
            Resource::Items(_) => "GET, POST",
            Resource::Item(..) => "DELETE",
            Resource::SnapshotRestore(_) | Resource::ServerRestore(_) => "POST",
            Resource::Servers | Resource::Me => "GET",
        }
    }
}

/// Whether a path fits a pattern: `{…}` stands for one segment, a `*` at the end for any rest.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    if let Some(start) = pattern.strip_suffix('*')
        && !start.contains('{')
    {
        return path.starts_with(start);
    }
    let (mut wanted, mut there) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => return true,
            (Some(wanted), Some(there)) if wanted == there || (wanted.starts_with('{') && !there.is_empty()) => {}
            _ => return false,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_paths() {
        assert!(fits("/snapshots/", "/snapshots/"));
        assert!(!fits("/snapshots/", "/snapshots/801/"));
        assert!(fits("/snapshots/{id}/", "/snapshots/801/"));
        assert!(!fits("/snapshots/{id}/", "/snapshots/"));
        assert!(!fits("/snapshots/{id}/", "/snapshots/801/restore/"));
        assert!(fits("*", "/anything"));
        assert!(fits("/snapshots/*", "/snapshots/801/restore/"));
        assert!(fits("/servers/{id}/*", "/servers/7/restore/"));
    }

    #[test]
    fn paths_name_resources_only_with_slashes_at_both_ends() {
        assert_eq!(Resource::of("/snapshots/7/"), Some(Resource::Item(Kind::Snapshot, ItemId(7))));
        for path in ["/snapshots", "snapshots/", "/snapshots/x/", "/snapshots/-7/", "/snapshots/+7/", "//", "/snapshots//", "/"] {
            assert_eq!(Resource::of(path), None, "{path}");
        }
    }
}
