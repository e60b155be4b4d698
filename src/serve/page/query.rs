//! What is asked of the page: the fields of its form, as they stand in the address.

use url::form_urlencoded;

/// The longest text that is searched for, in characters.
const SEARCH_CHARS_MAX: usize = 100;
/// The last page that is counted to.
const PAGES_MAX: usize = 100_000;

/// Which servers are asked for, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What the name, number, policy or a problem of a server must contain; in small letters. Empty: anything.
    pub search: String,
    /// Only servers with a problem.
    pub problems: bool,
    /// Their order.
    pub sort: Sort,
    /// The page, from 1 on.
    pub page: usize,
}

/// The order of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The worst first.
    Worst,
    /// By name.
    Name,
    /// What runs next.
    Next,
    /// The oldest last success first.
    Oldest,
}

impl Sort {
    /// All of them, with the word in the address and the one for people.
    pub const ALL: [(Sort, &'static str, &'static str); 4] = [
        (Sort::Worst, "worst", "Worst first"),
        (Sort::Name, "name", "By name"),
        (Sort::Next, "next", "Next run first"),
        (Sort::Oldest, "oldest", "Oldest success first"),
    ];
}

impl Default for Query {
    fn default() -> Query {
        Query { search: String::new(), problems: false, sort: Sort::Worst, page: 1 }
    }
}

impl Query {
    /// Reads the part of the address after `?`. What is not known is passed over: a page that shows more than was asked for is better than none.
    #[must_use]
    pub fn parse(text: &str) -> Query {
        let mut query = Query::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*key {
                "q" => query.search = value.trim().chars().take(SEARCH_CHARS_MAX).collect::<String>().to_lowercase(),
                "problems" => query.problems = !["", "0"].contains(&&*value),
                "sort" => query.sort = Sort::ALL.iter().find(|(_, word, _)| *word == value).map_or(Sort::Worst, |(sort, ..)| *sort),
                "page" => query.page = value.parse().unwrap_or(1).clamp(1, PAGES_MAX),
                _ => {}
            }
        }
        query
    }

    /// The address of another page of the same.
    #[must_use]
    pub fn address(&self, page: usize) -> String {
        let mut text = form_urlencoded::Serializer::for_suffix(String::from("/?"), 2);
        if !self.search.is_empty() {
            text.append_pair("q", &self.search);
        }
        if self.problems {
            text.append_pair("problems", "1");
        }
        if let Some((_, word, _)) = Sort::ALL.iter().find(|(sort, ..)| *sort == self.sort && *sort != Sort::Worst) {
            text.append_pair("sort", word);
        }
        if page > 1 {
            text.append_pair("page", &page.to_string());
        }
        let text = text.finish();
        text.strip_suffix('?').unwrap_or(&text).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_read_back_from_its_address() {
        for (text, search, problems, sort, page) in [
            ("", "", false, Sort::Worst, 1),
            ("q=&sort=worst", "", false, Sort::Worst, 1),
            ("q=+DB%2D1+&problems=1&sort=name&page=3", "db-1", true, Sort::Name, 3),
            ("problems=0&sort=sideways&page=-1&more=x", "", false, Sort::Worst, 1),
            ("q=%3Cscript%3E%22%26&page=99999999999999999999", "<script>\"&", false, Sort::Worst, 1),
            ("q=%FF%00", "\u{fffd}\0", false, Sort::Worst, 1),
        ] {
            let query = Query::parse(text);
            assert_eq!(query, Query { search: search.to_owned(), problems, sort, page }, "{text}");
            let address = query.address(page);
            assert_eq!(Query::parse(address.split_once('?').map_or("", |(_, rest)| rest)), query, "{text}");
            assert!(!address.contains("?&") && !address.ends_with('?'), "{address}");
        }
        assert_eq!(Query::parse(&format!("q={}", "x".repeat(1000))).search.len(), SEARCH_CHARS_MAX);
        assert_eq!(Query::default().address(1), "/");
    }
}
