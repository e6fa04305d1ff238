//! Both formats: what is taken, and every finding with its line.

use super::{from_classic, from_toml, tcp, udp};
use crate::config::types::{Config, Listen, Mode};

#[test]
fn the_lines_of_an_opentracker_file_are_taken() {
    let (config, findings) = from_classic(
        "\u{20}# a comment\r\n\
         \n\
         listen.tcp_udp 0.0.0.0\n\
         listen.tcp_udp 192.168.0.1:80   # and why\n\
         \tlisten.tcp \t 10.0.0.5:6969\n\
         listen.udp 2001:db8::5\n\
         listen.udp.workers 4\n\
         listen.udp [2001:db8::5]:80\n\
         listen.tcp [2001:db8::6]\n\
         access.stats 192.168.0.23\n\
         access.stats 10.1.2.3/8\n\
         access.stats_path /secret/stats\n\
         access.proxy ::ffff:10.0.1.23\n\
         tracker.rootdir /usr/local/etc/opentracker\n\
         tracker.user  nobody\n\
         tracker.redirect_url https://your.tracker.local/#top\n\
         xdp.mode socket\n",
    );
    assert_eq!(findings, Vec::<String>::new());
    let workers = Listen { udp_workers: Some(4), ..udp("[2001:db8::5]:80") };
    let udp_first = vec![udp("0.0.0.0:6969"), udp("192.168.0.1:80"), udp("[2001:db8::5]:6969"), workers];
    let tcp_then =
        vec![tcp("0.0.0.0:6969"), tcp("192.168.0.1:80"), tcp("10.0.0.5:6969"), tcp("[2001:db8::6]:6969")];
    assert_eq!(config.listen, [udp_first, tcp_then].concat());
    assert_eq!(config.access.stats, vec!["192.168.0.23/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.access.stats_path, "secret/stats");
    assert_eq!(config.access.proxy, vec!["10.0.1.23/32".parse().unwrap()]);
    assert_eq!(config.tracker.rootdir, Some("/usr/local/etc/opentracker".into()));
    assert_eq!(config.tracker.user.as_deref(), Some("nobody"));
    assert_eq!(config.tracker.redirect_url.as_deref(), Some("https://your.tracker.local/#top"));
    assert_eq!(config.xdp.mode, Mode::Socket);
}

#[test]
fn every_mistake_of_a_classic_file_is_found_with_its_line() {
    let (_, findings) = from_classic(
        "tracker.intervall 5\n\
         interval_secs 5\n\
         tracker.interval_secs abc\n\
         tracker.user\n\
         [tracker]\n\
         udp.workers = 2\n\
         listen.tcp 1.2.3\n\
         listen.udp 1.2.3.4:70000\n\
         tracker.redirect_url ftp://x/\n\
         access.stats_path announce\n\
         access.stats 10.0.0.0/33\n\
         udp.lenient yes\n\
         xdp.mode xks\n\
         something.else 1\n",
    );
    let address = "expected an address such as 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80";
    assert_eq!(
        findings,
        [
            "t.conf:1: tracker.intervall: unknown keyword; did you mean tracker.interval_secs?".to_owned(),
            "t.conf:2: interval_secs: unknown keyword; did you mean tracker.interval_secs?".to_owned(),
            "t.conf:3: tracker.interval_secs: expected seconds between 1 and 86400, found \"abc\"".to_owned(),
            "t.conf:4: tracker.user: expected a value, found none".to_owned(),
            "t.conf:5: [tracker]: expected a keyword, a blank and a value; a file in TOML needs a name that ends \
             in .toml"
                .to_owned(),
            "t.conf:6: udp.workers: expected a keyword, a blank and a value; a file in TOML needs a name that \
             ends in .toml"
                .to_owned(),
            format!("t.conf:7: listen.tcp: {address}, found \"1.2.3\""),
            format!("t.conf:8: listen.udp: {address}, found \"1.2.3.4:70000\""),
            "t.conf:9: tracker.redirect_url: expected a URL that starts with http:// or https://, without \
             blanks, found \"ftp://x/\""
                .to_owned(),
            "t.conf:10: access.stats_path: expected a path of letters, digits, and -_.~/ other than those of \
             announce and scrape, found \"announce\""
                .to_owned(),
            "t.conf:11: access.stats: expected a network such as 192.0.2.1 or 2001:db8::/32, found \
             \"10.0.0.0/33\""
                .to_owned(),
            "t.conf:12: udp.lenient: expected true or false, found \"yes\"".to_owned(),
            "t.conf:13: xdp.mode: expected auto, xsk, xdp or socket, found \"xks\"".to_owned(),
            "t.conf:14: something.else: unknown keyword; opentracker.conf.example lists all there are".to_owned(),
        ]
    );
}

#[test]
fn the_nodes_of_a_cluster_are_named_in_both_formats() {
    let classic = "batchsync.cluster.admin_ip 1.2.3.0/24\nbatchsync.cluster.join http://1.2.3.4:80/\n\
                   batchsync.cluster.join [2001:db8::1]\nbatchsync.cluster.join_timeout_secs 9\n";
    let toml = "[batchsync.cluster]\nadmin_ip = [\"1.2.3.0/24\"]\n\
                join = [\"1.2.3.4:80\", \"[2001:db8::1]:6969\"]\njoin_timeout_secs = 9\n";
    let (config, findings) = from_classic(classic);
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(from_toml(toml), (config.clone(), Vec::new()));
    let donors: Vec<_> = config.batchsync.join.iter().map(ToString::to_string).collect();
    assert_eq!(donors, ["1.2.3.4:80", "[2001:db8::1]:6969"]);
    let (_, findings) = from_classic("batchsync.cluster.join tracker.example:80\n");
    assert!(findings.len() == 1 && findings[0].contains("expected an address"), "{findings:?}");
}

#[test]
fn state_files_are_each_their_own() {
    let (_, findings) = from_classic("state.export a\nstate.snapshot a\nstate.load b\n");
    assert_eq!(
        findings,
        ["t.conf:2: state.snapshot: state.export is the same file; name another file for one of them"]
    );
}

#[test]
fn livesync_needs_a_group_of_its_family_and_somebody_to_believe() {
    let listen = "livesync.cluster.listen 192.0.2.1\n";
    let believing = format!("{listen}livesync.cluster.node_ip 192.0.2.0/24\n");
    let (config, findings) = from_classic(&believing);
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(config.livesync.listen, Some("192.0.2.1:9696".parse().unwrap()));
    let (_, findings) = from_classic(listen);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("warning") && findings[0].contains("believes nobody"), "{findings:?}");
    let (_, findings) = from_classic(&format!("{believing}livesync.cluster.group ff05::1\n"));
    assert!(findings[0].contains("which is of another family"), "{findings:?}");
    let (_, findings) = from_classic("livesync.cluster.key_file keys\n");
    assert!(findings[0].contains("livesync is off"), "{findings:?}");
    let (_, findings) = from_classic(&believing.replace("192.0.2.1", "192.0.2.1:0"));
    assert!(findings[0].contains("name a port"), "{findings:?}");
    for group in ["192.0.2.1", "x", "2001:db8::1"] {
        let (_, findings) = from_classic(&format!("{believing}livesync.cluster.group {group}\n"));
        assert!(findings[0].contains("expected a multicast group"), "{findings:?}");
    }
}

#[test]
fn a_second_value_in_one_file_replaces_the_first_with_a_warning() {
    let (config, findings) =
        from_classic("udp.workers 2\naccess.stats 1.1.1.1\naccess.stats 1.1.1.2\nudp.workers 3\n");
    assert_eq!(findings, ["t.conf:4: warning: udp.workers: this replaces the value of line 1"]);
    assert_eq!((config.udp.workers, config.access.stats.len()), (3, 2));
}

#[test]
fn toml_has_the_same_names() {
    let (config, findings) = from_toml(
        "listen.tcp_udp = [\"0.0.0.0\", \"[::]:0\"]\n\
         listen.udp = [\"[::]:0\", { address = \"192.0.2.1\", workers = 4 }]\n\
         udp = { workers = 0x0_4, lenient = true }\n\
         [tracker]\n\
         interval_secs = 1_000\n\
         [xdp]\n\
         mode = \"socket\"\n\
         [access]\n\
         stats = [\"10.0.0.0/8\"]\n",
    );
    assert_eq!(findings, Vec::<String>::new());
    let workers = Listen { udp_workers: Some(4), ..udp("192.0.2.1:6969") };
    let listen =
        vec![udp("0.0.0.0:6969"), udp("[::]:0"), udp("[::]:0"), workers, tcp("0.0.0.0:6969"), tcp("[::]:0")];
    assert_eq!(config.listen, listen);
    assert_eq!((config.udp.workers, config.udp.lenient), (4, true));
    assert_eq!((config.tracker.interval_secs, config.xdp.mode), (1000, Mode::Socket));
    assert_eq!(config.access.stats, vec!["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn every_mistake_of_a_toml_file_is_found_with_its_line() {
    let (_, findings) = from_toml(
        "[listen]\n\
         tcp = \"0.0.0.0\"\n\
         udp = [\n\
         5,\n\
         { address = \"1.2.3.4\", workers = 0 },\n\
         { adress = \"1.2.3.4\" } ]\n\
         [tracker]\n\
         interval_secs = \"30\"\n\
         interval_jitter_secs = -5\n\
         rootdir = 5\n\
         interva_secs = 5\n\
         [udp]\n\
         lenient = 1.5\n\
         [acess]\n\
         stats = []\n\
         [[http]]\n\
         workers = 1\n",
    );
    assert_eq!(
        findings,
        [
            "t.toml:2: listen.tcp: expected an array of strings, found a string",
            "t.toml:4: listen.udp: expected a string, found an integer",
            "t.toml:5: listen.udp.workers: expected workers between 1 and 1024, found \"0\"",
            "t.toml:6: listen.udp: expected address or workers, found \"adress\"",
            "t.toml:6: listen.udp: expected an address in the table, found none",
            "t.toml:8: tracker.interval_secs: expected an integer, found a string",
            "t.toml:9: tracker.interval_jitter_secs: expected seconds between 0 and 86400, found \"-5\"",
            "t.toml:10: tracker.rootdir: expected a string, found an integer",
            "t.toml:11: tracker.interva_secs: unknown keyword; did you mean tracker.interval_secs?",
            "t.toml:13: udp.lenient: expected true or false, found a float",
            "t.toml:14: acess: unknown keyword; did you mean access?",
            "t.toml:16: http: expected a table",
        ]
    );
}

#[test]
fn broken_toml_is_found_with_its_line_and_nothing_is_guessed_from_the_rest() {
    let (config, findings) = from_toml("[udp]\nworkers = 3\nworkers = 4\nworker = 4\n[http\n");
    assert_eq!(config, Config::default());
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("t.toml:3: not TOML: "), "{findings:?}");
    assert!(findings[1].starts_with("t.toml:5: not TOML: "), "{findings:?}");
}

#[test]
fn settings_that_contradict_each_other_are_found_all_at_once() {
    let (_, findings) = from_classic(
        "tracker.interval_secs 100\n\
         tracker.interval_jitter_secs 100\n\
         tracker.peer_timeout_secs 200\n\
         tracker.peers_wanted_max 10\n\
         udp.connection_id_rotation_secs 60\n\
         udp.connection_id_lifetime_secs 61\n\
         listen.udp 0.0.0.0:0\n\
         listen.udp 0.0.0.0:0\n\
         listen.udp 1.2.3.4\n\
         listen.tcp 1.2.3.4\n\
         udp.workers 2\n\
         listen.udp.workers 3\n\
         listen.tcp_udp 1.2.3.4\n",
    );
    assert_eq!(
        findings,
        [
            "t.conf:13: listen.tcp: 1.2.3.4:6969 is listed before (t.conf:10); remove one of them",
            "t.conf:13: listen.udp: 1.2.3.4:6969 is listed before (t.conf:9); remove one of them",
            "t.conf:2: tracker.interval_jitter_secs: a jitter of 100 s would turn an interval of 100 s into none; \
             set tracker.interval_jitter_secs below tracker.interval_secs",
            "t.conf:3: tracker.peer_timeout_secs: peers are forgotten after 200 s, but announce as rarely as \
             every 200 s; set tracker.peer_timeout_secs above tracker.interval_secs and its jitter together",
            "t.conf:4: tracker.peers_wanted_max: a client that does not ask would get 50 peers, one that asks at \
             most 10; set tracker.peers_wanted_default to no more than tracker.peers_wanted_max",
            "t.conf:6: udp.connection_id_lifetime_secs: ids hold for 61 s, but their keys change every 60 s; set \
             udp.connection_id_lifetime_secs to no more than udp.connection_id_rotation_secs",
            "t.conf:6: warning: udp.connection_id_lifetime_secs: ids hold for 61 s, but clients count on 120 s \
             (BEP 15); set it to 120 or more",
            "t.conf:13: warning: listen.udp: 1.2.3.4:6969 should have 3 workers of 2; udp.workers says how many \
             there are",
        ]
    );
}

#[test]
fn a_refused_value_is_not_said_to_contradict_others_too() {
    let (_, findings) = from_classic("tracker.interval_secs 60\ntracker.interval_jitter_secs 1O\n");
    let refused =
        "t.conf:2: tracker.interval_jitter_secs: expected seconds between 0 and 86400, found \"1O\"";
    assert_eq!(findings, [refused]);
}

#[test]
fn the_longest_connection_id_lifetime_is_what_its_tag_can_tell() {
    let lifetime_slots = |seconds: u64| ((seconds * 1_000_000_000) >> 34) + 1;
    assert_eq!(lifetime_slots(1082), u64::from(tracker_common::connection_id::MAX_LIFETIME_SLOTS));
    let (config, findings) = from_classic("udp.connection_id_lifetime_secs 1082\n");
    assert_eq!((config.udp.connection_id_lifetime_secs, findings.len()), (1082, 0));
    let (_, findings) = from_classic("udp.connection_id_lifetime_secs 1083\n");
    assert_eq!(findings.len(), 1);
}

#[test]
fn nodes_that_share_keys_need_two_lifetimes_for_each() {
    let findings = |rotation: u32, key_file: &str| {
        from_classic(&format!("udp.connection_id_rotation_secs {rotation}\n{key_file}")).1
    };
    let key_file = "udp.connection_id_key_file ids.keys\n";
    assert_eq!(findings(1079, ""), [""; 0]);
    assert_eq!(findings(1080, key_file), [""; 0]);
    assert_eq!(
        findings(1079, key_file),
        [
            "t.conf:1: udp.connection_id_rotation_secs: nodes that share keys need 1080 s from one key to the next for ids \
          that hold for 480 s, not 1079 s; set udp.connection_id_rotation_secs to 1080 or more, on all nodes"
        ]
    );
}

#[test]
fn one_family_is_enough_for_a_port_on_every_address_alone() {
    let lacks = |text: &str| {
        let (config, _) = from_classic(text);
        let listeners = config.listeners();
        listeners.iter().map(|listen| config.may_lack_family(listen)).collect::<Vec<_>>()
    };
    assert_eq!(lacks(""), [true; 4]);
    assert_eq!(lacks("listen.tcp 0.0.0.0:80\nlisten.tcp [::]:80\n"), [true; 2]);
    assert_eq!(lacks("listen.tcp 0.0.0.0:80\nlisten.udp [::]:80\nlisten.tcp [::]:81\n"), [false; 3]);
    assert_eq!(lacks("listen.tcp 0.0.0.0:80\nlisten.tcp [2001:db8::1]:80\n"), [false; 2]);
}
