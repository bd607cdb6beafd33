//! Steps that the user can take to settle whether a remote leaks.

use super::Explanation;
use super::rivals::Weight;
use crate::attribution::{Rival, Verdict};
use crate::report::Candidate;
use crate::words::{list, remote_name};

/// The steps, the most useful first.
pub(super) fn settle(explanation: &Explanation) -> Vec<String> {
    let Some(candidate) = &explanation.candidate else { return Vec::new() };
    match candidate.verdict {
        Verdict::Confirmed => Vec::new(),
        Verdict::NotIdentifiable => vec![
            "Keep one device, or each second address, away from it for some days (a firewall rule will do): then \
             there is something to compare with."
                .to_owned(),
            "An address used for a contact with it and for nothing else would prove it if it is probed.".to_owned(),
        ],
        Verdict::ProbesBack => vec![
            "Look at the ports that it probes: a service that checks its clients tries the same few, once, just after \
             the contact."
                .to_owned(),
            "An address used for a contact with it and for nothing else: probes from other networks would be a leak."
                .to_owned(),
        ],
        Verdict::Strong | Verdict::Suspected | Verdict::Weak => of_suspect(explanation, candidate),
    }
}

fn of_suspect(explanation: &Explanation, candidate: &Candidate) -> Vec<String> {
    let members = candidate.members.len();
    let mut steps = vec![if explanation.may_be(Rival::OneOfSeveral) && members > 1 {
        format!(
            "Contact each of the {members} from an address of its own, used for nothing else: the one whose address is \
             probed leaks."
        )
    } else {
        "An address used for a contact with it and for nothing else would prove it if it is probed.".to_owned()
    }];
    if explanation.may_be(Rival::OnPath) {
        steps.push(
            "The same with a remote that you trust: if that address is probed too, somebody listens on the path. Another \
             resolver, over TLS, or another uplink for some days tells which."
                .to_owned(),
        );
    }
    let points = candidate.verdict != Verdict::Weak || candidate.evidence.is_some_and(|evidence| evidence > 0.0);
    if points && !explanation.together.is_empty() {
        let others: Vec<String> =
            explanation.together.iter().map(|other| format!("{} ({})", other.remote, other.locals)).collect();
        steps.push(format!(
            "Contact it without the remotes that most of its {} probed visitors had contacted as well: {}.",
            candidate.explained_locals,
            list(&others),
        ));
    }
    if explanation.may_be(Rival::OneDevice) || explanation.may_be(Rival::DeviceItself) {
        steps.push(match candidate.devices {
            Some(_) => "A contact with it from another device, with other software.".to_owned(),
            None => "Watch on the router, where the sensor learns which device has which address.".to_owned(),
        });
    }
    if explanation.may_be(Rival::ManySites) {
        let remote = remote_name(explanation.remote);
        steps.push(format!(
            "See which sites were meant: `tattler contacts remote {remote}` shows names seen in DNS and TLS."
        ));
    }
    let by_chance = explanation.rivals_that_are(Weight::Open).any(|rival| rival.rival == "chance");
    if by_chance || explanation.may_be(Rival::FewLocals) {
        steps.push(
            "More days: a device makes a new temporary address about once a day, and each that contacts it and is probed, \
             or is not, counts."
                .to_owned(),
        );
    }
    steps
}
