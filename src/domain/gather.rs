//! Collections filled entry by entry.

/// What `collect` does, but one entry after the other. Into a B-tree `collect` sorts first, and each type brings a sort of its own along: 9 KB of program,
/// and the time to build it, for what are mostly a few entries that come in order.
pub(crate) fn gather<C: Default + Extend<T>, T>(entries: impl IntoIterator<Item = T>) -> C {
    let mut gathered = C::default();
    gathered.extend(entries);
    gathered
}
