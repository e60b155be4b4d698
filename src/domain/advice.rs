//! What each problem means, what happens meanwhile, and what to do about it, in a sentence or two each: for the status page and `docs/problems.md`.

use super::problem::{AccountReason, Reason};

/// What a person wants to know of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What it means.
    pub meaning: &'static str,
    /// What this program does meanwhile.
    pub meanwhile: &'static str,
    /// What to do about it.
    pub action: &'static str,
}

/// Of a target whose next success is overdue, whatever the reason.
pub const OVERDUE: Advice = Advice {
    meaning: "No run has ended well since the last scheduled time, although all that it may be late is over.",
    meanwhile: "The newest restore point gets older; the next scheduled time is tried like any other.",
    action: "Mend the problem that is shown beside it. If there is none, look at `snapwarden history` for this server, and whether the daemon was running.",
};

impl Reason {
    /// What it means, and what to do about it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table with an entry for each reason, and nothing else")]
    pub fn advice(self) -> Advice {
        match self {
            Reason::CapFull => Advice {
                meaning: "All slots of this server are used, and no item may be deleted to make room.",
                meanwhile: "Nothing is made or deleted; it is tried again with growing pauses until `catch_up` is over, then at the next scheduled time.",
                action: "Delete an item that is not needed, give old ones into snapwarden's care with `adopt`, or set `at_cap: rotate`.",
            },
            Reason::ListingIncomplete => Advice {
                meaning: "The provider's list does not show everything of this server, so it is not certain what is there.",
                meanwhile: "Nothing is deleted there until two complete lists in a row have come; a create goes on only if a slot is visibly free.",
                action: "Usually it passes by itself. If it stays, compare the list at the provider with the detail, and tell the provider's support.",
            },
            Reason::CreateFailed => Advice {
                meaning: "The provider refused the last create, or the item that it was making failed or vanished.",
                meanwhile: "It is tried again with growing pauses, at most three times for a scheduled time and not after `catch_up` is over.",
                action: "Read the provider's answer in the detail; if it names no cause of yours, try once by hand at the provider, then ask its support.",
            },
            Reason::CreateUnknown => Advice {
                meaning: "A create was sent, and no answer told whether it was done.",
                meanwhile: "Its mark is looked for; only when that is certainly missing is the same create sent again. Nothing is deleted there.",
                action: "Wait for the next complete list. If it stays, see whether the provider answers lists, and look there for an item of this time.",
            },
            Reason::Stuck => Advice {
                meaning: "An item has been in the making for longer than `stuck_after`.",
                meanwhile: "Nobody waits for it any more, and it is never deleted while unfinished. Creates go on where a slot is free; no room is made.",
                action: "Look at the item at the provider. Delete it there or ask the support to; raise `stuck_after` if this server simply takes longer.",
            },
            Reason::DeleteFailed => Advice {
                meaning: "The provider refused the last delete, or says that it was done and goes on showing the item.",
                meanwhile: "Retention asks for it again in the next run; creates go on while a slot is free.",
                action: "Read the detail, try the delete by hand at the provider, and see whether the token may delete.",
            },
            Reason::DeleteUnknown => Advice {
                meaning: "A delete was sent, and no answer told whether it was done.",
                meanwhile: "Complete lists are looked at until they show it; nothing else is deleted on this server until then.",
                action: "Wait for the next complete list. If it stays, see whether the item is still there at the provider.",
            },
            Reason::NameMismatch => Advice {
                meaning: "The provider calls this server by another name than the configuration: perhaps the number is of another server.",
                meanwhile: "Nothing is deleted there; creates go on.",
                action: "See which server has this number. Correct `name` if it was renamed, or `id` if it is the wrong one.",
            },
            Reason::ServerMissing => Advice {
                meaning: "The provider does not know this server, or knows it no longer, or does not show it to this token.",
                meanwhile: "Nothing is made or deleted there.",
                action: "If it was deleted on purpose, take it out of the configuration. If not, look at the provider, and at which account the token is of.",
            },
            Reason::MatchConflict => Advice {
                meaning: "Two `match` entries name this server, so it is not clear which policy is meant.",
                meanwhile: "Nothing is made or deleted there; other servers are not affected.",
                action: "Narrow one of the entries, add an `exclude`, or give the server an entry with its `id`.",
            },
            Reason::Restoring => Advice {
                meaning: "The server is being overwritten by a restore, or was not long ago.",
                meanwhile: "Nothing is made or deleted there until it is over; after `snapwarden restore`, nothing is deleted there for 7 days.",
                action: "Nothing, if it was meant: it takes 5 to 15 minutes. Else ask at once who began it. `snapwarden release deletes` ends the 7 days.",
            },
            Reason::UnknownStatus => Advice {
                meaning: "An item has a status that this version does not know.",
                meanwhile: "The item is left alone and counts as unfinished; everything else goes on.",
                action: "Look at the item at the provider. If it is fine there, look for a newer version of snapwarden, or report the word.",
            },
            Reason::Fuse => Advice {
                meaning: "More is to be deleted than `deletes` allows (each completed create pays for one), or deletes are switched off.",
                meanwhile: "What is left waits, and goes with later runs or on later days.",
                action: "Look at `snapwarden plan`. If those deletes are meant, wait or raise the limits under `deletes`; if not, correct `keep` at once.",
            },
            Reason::Guard => Advice {
                meaning: "A plan would have broken a rule that protects restore points, and was refused: most likely a fault of this program.",
                meanwhile: "Nothing is deleted on this server until plans have been sound on two complete lists in a row; creates go on.",
                action: "Report it with the detail and the log of the daemon. See that the server has free slots until it is mended.",
            },
            Reason::HookFailed => Advice {
                meaning: "A hook of the policy ended with an error or ran out of time.",
                meanwhile: "With `on_failure: abort` nothing was made; with `continue` it was. `after` always runs, and is tried 5 times where it fails.",
                action: "Run the command by hand as the daemon's user, look at its output in the log, and see that nothing is left frozen on the server.",
            },
            Reason::MarkLost => Advice {
                meaning: "An item that snapwarden made no longer carries its mark: somebody has changed its description.",
                meanwhile: "As long as the journal remembers it, it is treated as ours all the same.",
                action: "Put the description back. If the item is to be a person's own from here on, put its number under `protect_ids`.",
            },
            Reason::Paused => Advice {
                meaning: "An operator has paused this server until the time shown: by `snapwarden pause`, or by `paused_until` in the configuration.",
                meanwhile: "No runs are made. It ends by itself; a run that can still be made up for is then made at once.",
                action: "Nothing, if that is still meant. To end it earlier: `snapwarden resume`, or take `paused_until` out and reload.",
            },
        }
    }
}

impl AccountReason {
    /// What it means, and what to do about it.
    #[must_use]
    pub fn advice(self) -> Advice {
        match self {
            AccountReason::Auth => Advice {
                meaning: "The provider refuses the token: it was revoked, has expired or was mistyped.",
                meanwhile: "Nothing is made or deleted anywhere. The token file is read again and tried every five minutes.",
                action: "Make a new token at the provider and put it into the token file; a reload tries it at once.",
            },
            AccountReason::WrongAccount => Advice {
                meaning: "The token is of another account than `provider.account`, or it cannot be found out whose it is.",
                meanwhile: "Nothing is made or deleted anywhere; it is asked again every five minutes.",
                action: "Put the right token into the token file, or correct `provider.account`.",
            },
            AccountReason::Unreachable => Advice {
                meaning: "The provider cannot be reached or answers with errors of its own.",
                meanwhile: "It is asked again with growing pauses. What falls due is made up for within `catch_up`; nothing is deleted on old lists.",
                action: "See whether the provider has an outage, and whether this machine's network, DNS and proxy work.",
            },
            AccountReason::Throttled => Advice {
                meaning: "The provider asks for fewer requests.",
                meanwhile: "It is waited for as long as the provider asks; runs take longer. It is told for a minute after the last such answer.",
                action: "If it stays, lower `provider.requests_per_second`, raise `refresh_every`, and see what else uses this account.",
            },
            AccountReason::ClockSkew => Advice {
                meaning: "The clocks here and at the provider differ by more than a minute, or the clock here is not set.",
                meanwhile: "Runs go on by the clock here. From an hour of difference on, or while the clock is not set, nothing is deleted.",
                action: "Set this machine's clock, and let NTP keep it (`timedatectl`).",
            },
            AccountReason::Journal => Advice {
                meaning: "The journal cannot be written, or a damaged one was set aside at the start.",
                meanwhile: "What cannot be written down first is not sent: no creates, no deletes. After one was set aside, work goes on with a new one.",
                action: "See that the state folder has space and can be written. A journal that was set aside can go once nobody wants to read it.",
            },
            AccountReason::ListingIncomplete => Advice {
                meaning: "A list of the provider does not show everything, and not even whose entries are missing; or it is refused, or cannot be read.",
                meanwhile: "By such a list nothing is deleted, and a create goes on only where a slot is visibly free. \
                            Where none comes, nothing of its kind is made.",
                action: "A list that is refused wants a token that may read it. \
                         Else it mostly passes by itself; if it stays, tell the provider's support what the detail says.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_whole_sentences_of_its_own() {
        let of_targets = Reason::ALL.iter().map(|reason| reason.advice());
        let all: Vec<Advice> = of_targets.chain(AccountReason::ALL.iter().map(|reason| reason.advice())).chain([OVERDUE]).collect();
        for (index, advice) in all.iter().enumerate() {
            for sentence in [advice.meaning, advice.meanwhile, advice.action] {
                assert!(sentence.ends_with('.') && (20..=170).contains(&sentence.len()), "{sentence} ({})", sentence.len());
                assert!(sentence.starts_with(|c: char| c.is_uppercase() || c == '`'), "{sentence}");
            }
            assert!(all[..index].iter().all(|other| other.meaning != advice.meaning && other.action != advice.action), "{advice:?}");
        }
    }

    /// The sections of `docs/problems.md` below a heading: their words, and their text.
    fn documented<'a>(docs: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
        let part = docs.split_once(&format!("\n## {heading}\n")).unwrap().1;
        let part = part.split_once("\n## ").map_or(part, |(part, _)| part);
        part.split("\n### `").skip(1).map(|section| section.split_once("`\n").unwrap()).collect()
    }

    fn as_documented(advice: Advice) -> String {
        format!("\n{}\n\n**Meanwhile:** {}\n\n**What to do:** {}\n", advice.meaning, advice.meanwhile, advice.action)
    }

    #[test]
    fn the_page_about_problems_has_each_of_them_in_the_same_words() {
        let docs = include_str!("../../docs/problems.md");
        assert!(docs.contains(&format!("## Overdue\n{}", as_documented(OVERDUE))));
        let of_servers = Reason::ALL.iter().map(|reason| (reason.as_str(), reason.advice()));
        let of_account = AccountReason::ALL.iter().map(|reason| (reason.as_str(), reason.advice()));
        for (heading, expected) in [("Of a server", of_servers.collect::<Vec<_>>()), ("Of the account", of_account.collect())] {
            let sections = documented(docs, heading);
            let words = |list: &[(&'static str, Advice)]| list.iter().map(|(word, _)| *word).collect::<Vec<_>>();
            assert_eq!(sections.iter().map(|(word, _)| *word).collect::<Vec<_>>(), words(&expected), "{heading}: in the order of the list");
            for ((word, text), (_, advice)) in sections.iter().zip(expected) {
                assert!(text.starts_with(&as_documented(advice)), "{word}: {}", as_documented(advice));
            }
        }
    }
}
