//! Settings of what is told through NATS that contradict each other.

use super::disagreement;
use crate::config::draft::Draft;
use crate::config::finding::Finding;

/// What has no effect without a server. What has a default stands in every printed configuration.
const NEED_A_SERVER: [&str; 5] =
    ["sync.site", "sync.nats_credentials", "sync.nats_ca", "sync.nats_certificate", "sync.nats_key"];

/// Every contradiction.
pub(super) fn check(draft: &Draft) -> Vec<Finding> {
    if draft.config.sync.nats.is_empty() {
        let what = "there is no server of NATS, so this has no effect".to_owned();
        let given: Vec<_> = NEED_A_SERVER.iter().filter(|name| draft.place_of(name).is_some()).collect();
        let findings = given
            .into_iter()
            .filter_map(|name| disagreement(draft, &[name, "sync.nats"], what.clone(), "set sync.nats"));
        return findings.map(Finding::as_warning).collect();
    }
    [site(draft), login(draft), certificate(draft)].into_iter().flatten().collect()
}

/// Nodes that hear each other by livesync must not hear each other through NATS as well, and others must.
fn site(draft: &Draft) -> Option<Finding> {
    let names = ["sync.site", "livesync.cluster.listen", "sync.nats"];
    match (&draft.config.sync.site, draft.config.livesync.listen) {
        (None, Some(_)) => {
            let what =
                "nodes of this site would tell each other everything twice, by livesync and through NATS";
            disagreement(
                draft,
                &names,
                what.to_owned(),
                "set sync.site to the same name on all nodes of this network",
            )
        }
        (Some(site), None) => {
            let what = format!("livesync is off, so no other node of the site {site:?} is heard");
            let remedy = "set livesync.cluster.listen, or remove sync.site where this node is alone";
            disagreement(draft, &names, what, remedy).map(Finding::as_warning)
        }
        _ => None,
    }
}

fn login(draft: &Draft) -> Option<Finding> {
    let sync = &draft.config.sync;
    let has_login = sync.nats.iter().any(|server| server.login().is_some());
    if sync.nats_credentials.is_none() || !has_login {
        return None;
    }
    let what = "a URL of sync.nats says how to log in as well".to_owned();
    disagreement(draft, &["sync.nats_credentials", "sync.nats"], what, "remove one of them")
}

fn certificate(draft: &Draft) -> Option<Finding> {
    let sync = &draft.config.sync;
    if sync.nats_certificate.is_some() == sync.nats_key.is_some() {
        return None;
    }
    let what = "a certificate and its key go together".to_owned();
    disagreement(draft, &["sync.nats_certificate", "sync.nats_key"], what, "set both or none")
}
