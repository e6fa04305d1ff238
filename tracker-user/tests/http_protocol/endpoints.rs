//! Paths and who may see them.

use crate::server::Server;
use tracker_user::counters::HttpVerdict;

const QUERY: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=1";

#[test]
fn announces_are_served_in_the_forms_that_real_clients_send() {
    let server = Server::start();
    let paths =
        ["/announce", "/announce.php", "//announce", "/a", "/announce%20", "/", "http://tracker/announce"];
    for path in paths {
        assert_eq!(server.get(&format!("{path}?{QUERY}")).dictionary().integer("incomplete"), 1, "{path}");
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 7)]);
}

#[test]
fn the_root_redirects_where_the_operator_wants_it() {
    let server = Server::start();
    assert_eq!(server.get("/").status(), 404);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::NotFound, 1)]);

    let url = "https://tracker.example/about?x=1";
    let server = Server::start_with(|config| config.tracker.redirect_url = Some(url.to_owned()));
    let response = server.get("/");
    assert_eq!((response.status(), response.header("location")), (302, Some(url)));
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Redirected, 1)]);
}

#[test]
fn nothing_lives_at_another_path() {
    let server = Server::start();
    assert_eq!(server.get("/favicon.ico").status(), 404);
    assert_eq!(server.get("/secret/stats").status(), 404);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::NotFound, 2)]);
}

#[test]
fn statistics_are_text_for_mrtg_and_json_for_programs() {
    let server = Server::start();
    server.get(&format!("/announce?{QUERY}"));
    server.get(&format!("/announce?{}", QUERY.replace("left=1", "port=2&left=0")));
    let response = server.get("/stats");
    assert_eq!((response.status(), response.header("content-type")), (200, Some("text/plain")));
    let text = String::from_utf8(response.body).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["2", "1", "opentracker serving 1 torrents", "opentracker"]);

    let response = server.get("/stats?format=json");
    assert_eq!((response.status(), response.header("content-type")), (200, Some("application/json")));
    let json: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let figures = ["torrents", "peers", "seeders", "leechers", "completed"].map(|key| json[key].as_u64());
    assert_eq!(figures, [Some(1), Some(2), Some(1), Some(1), Some(0)]);
    assert!(json["uptime_secs"].is_u64());
    assert_eq!(json["http"]["announce_answered"], 2);
    assert_eq!(json["http"]["stats_shown"], 1);
    assert_eq!(json["udp"]["connect_answered"], 0);

    assert_eq!(server.get("/stats?mode=nonsense").status(), 400);
    let expected =
        [(HttpVerdict::AnnounceAnswered, 2), (HttpVerdict::StatsShown, 2), (HttpVerdict::StatsRefused, 1)];
    assert_eq!(server.stop_and_count(), expected);
}

#[test]
fn statistics_are_kept_from_addresses_outside_the_networks_that_may_see_them() {
    let server = Server::start_with(|config| {
        config.access.proxy = vec!["127.0.0.1/32".parse().unwrap()];
        config.access.stats = vec!["192.0.2.0/24".parse().unwrap()];
        config.access.stats_path = "figures".to_owned();
    });
    assert_eq!(server.get_from("192.0.2.7", "/figures").status(), 200);
    assert_eq!(server.get_from("::ffff:192.0.2.7", "/figures").status(), 200);
    assert_eq!(server.get_from("198.51.100.1", "/figures").status(), 403);
    assert_eq!(server.get("/figures").status(), 403);
    assert_eq!(server.get_from("192.0.2.7", "/stats").status(), 404);
    let expected =
        [(HttpVerdict::StatsShown, 2), (HttpVerdict::StatsForbidden, 2), (HttpVerdict::NotFound, 1)];
    assert_eq!(server.stop_and_count(), expected);
}
