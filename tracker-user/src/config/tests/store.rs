//! Settings of the store and of intervals, and what contradicts itself there.

use super::{from_classic, from_toml};

#[test]
fn memory_is_a_number_of_bytes_or_has_a_suffix() {
    for (text, bytes) in
        [("0", 0), ("16777216", 16 << 20), ("512M", 512 << 20), ("20000k", 20_000 << 10), ("3G", 3 << 30)]
    {
        let (config, findings) = from_classic(&format!("store.max_memory {text}\n"));
        assert_eq!((config.store.limits.max_memory_bytes, findings), (bytes, Vec::new()), "{text}");
    }
    let (config, findings) = from_toml("[store]\nmax_memory = \"512M\"\n");
    assert_eq!((config.store.limits.max_memory_bytes, findings.len()), (512 << 20, 0));
    let (config, findings) = from_toml("[store]\nmax_memory = 33554432\n");
    assert_eq!((config.store.limits.max_memory_bytes, findings.len()), (32 << 20, 0));
}

#[test]
fn memory_that_nothing_fits_or_nobody_has_is_refused() {
    for text in ["1", "15M", "512MB", "M", "-1", "1.5G", "99999999999999999999G", "17179869184G", "é"] {
        let (_, findings) = from_classic(&format!("store.max_memory {text}\n"));
        let expected = format!(
            "t.conf:1: store.max_memory: expected 0, or bytes between 16M and 65536G, such as 512M, found {text:?}"
        );
        assert_eq!(findings, [expected]);
    }
    let (_, findings) = from_toml("[store]\nmax_memory = true\n");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].contains("expected an integer or a string such as \"512M\", found a boolean"),
        "{findings:?}"
    );
}

#[test]
fn intervals_of_one_protocol_are_checked_like_that_of_both() {
    let (_, findings) = from_classic("udp.interval_secs 180\nhttp.interval_secs 2600\n");
    assert_eq!(
        findings,
        [
            "t.conf:1: udp.interval_secs: a jitter of 180 s would turn an interval of 180 s into none; set \
             tracker.interval_jitter_secs below udp.interval_secs",
            "t.conf:2: http.interval_secs: peers are forgotten after 2700 s, but announce as rarely as every 2780 s; set \
             tracker.peer_timeout_secs above http.interval_secs and its jitter together",
        ]
    );
}

#[test]
fn a_stretch_that_the_timeout_of_peers_does_not_allow_is_found() {
    let (config, findings) = from_classic("tracker.interval_stretch_max_percent 150\n");
    assert_eq!(
        findings,
        [
            "t.conf:1: warning: tracker.interval_stretch_max_percent: peers are forgotten after 2700 s, so that no interval is \
          stretched beyond 2352 s, which is 130 %; set a longer tracker.peer_timeout_secs, or a stretch that fits"
        ]
    );
    assert_eq!(config.stretch_most_percent(), 130);
    let (config, findings) =
        from_classic("tracker.interval_stretch_max_percent 150\ntracker.peer_timeout_secs 5400\n");
    assert_eq!((config.stretch_most_percent(), findings.len()), (150, 0));
    let (config, findings) = from_classic("");
    assert_eq!((config.stretch_most_percent(), findings.len()), (130, 0), "a default is no mistake");
}

#[test]
fn a_tracker_that_refuses_everybody_is_found() {
    let on_loopback = "listen.tcp_udp 127.0.0.1:80\nlisten.udp [::1]:80\nstore.refuse_bogons true\n";
    let (_, findings) = from_classic(on_loopback);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].starts_with("t.conf:3: warning: store.refuse_bogons: all listen addresses are loopback")
    );
    for more in ["access.proxy 127.0.0.1\n", "listen.udp 10.0.0.1\n"] {
        assert_eq!(from_classic(&format!("{on_loopback}{more}")).1, Vec::<String>::new(), "{more}");
    }
}
