//! Settings of what is told through NATS, and what they must not say aloud.

use super::{from_classic, from_toml};

const LIVESYNC: &str = "livesync.cluster.listen 192.0.2.1\nlivesync.cluster.node_ip 192.0.2.0/24\n";

#[test]
fn servers_are_tried_one_after_the_other_and_a_site_has_a_name() {
    let classic = format!(
        "{LIVESYNC}sync.nats tls://192.0.2.9\nsync.nats nats://nats.example:4333\nsync.site berlin-1\nsync.max_memory 2M\n"
    );
    let (config, findings) = from_classic(&classic);
    assert_eq!(findings, Vec::<String>::new());
    let servers: Vec<_> = config.sync.nats.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["tls://192.0.2.9:4222", "nats://nats.example:4333"]);
    assert_eq!((config.sync.site.as_deref(), config.sync.max_memory_bytes), (Some("berlin-1"), 2 << 20));
    let (alone, findings) = from_toml("[sync]\nnats = [\"nats://192.0.2.9\"]\n");
    assert_eq!((alone.sync.site, findings), (None, Vec::new()));
}

#[test]
fn a_server_that_is_none_is_refused_without_a_word_of_what_was_there() {
    for wrong in ["http://me:s3cret@a", "me:s3cret@a:4222", "nats://me:s3cret@", "nats://me:s3cret@a/path"] {
        let (_, findings) = from_classic(&format!("sync.nats {wrong}\n"));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("expected a URL") && !findings[0].contains("s3cret"), "{findings:?}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_found() {
    let server = "sync.nats nats://me:s3cret@a\n";
    for (text, expected) in [
        (format!("{LIVESYNC}{server}"), "everything twice"),
        (format!("{server}sync.site berlin\n"), "warning: sync.site: livesync is off"),
        (format!("{server}sync.nats_credentials me.creds\n"), "how to log in as well"),
        (format!("{server}sync.nats_key me.key\n"), "go together"),
        ("sync.nats_ca ca\n".to_owned(), "warning: sync.nats_ca: there is no server"),
        (format!("{server}sync.site a.b\n"), "up to 64 letters"),
        (format!("{server}sync.subject a..b\n"), "in parts with dots"),
        (format!("{server}sync.max_memory 0\n"), "bytes between 256K"),
    ] {
        let (_, findings) = from_classic(&text);
        assert!(findings.len() == 1 && findings[0].contains(expected), "{findings:?} for {text}");
        assert!(!findings[0].contains("s3cret"), "{findings:?}");
    }
}

#[test]
fn keys_of_livesync_seal_what_goes_through_nats_as_well() {
    let (_, findings) = from_classic("sync.nats nats://a\nlivesync.cluster.key_file keys\n");
    assert_eq!(findings, Vec::<String>::new());
}
