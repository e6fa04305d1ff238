//! What is said over the socket: a request is one line of JSON, and so is its answer. Both sides are of the same program,
//! though they may be of different versions for the length of an upgrade: whatever is not understood is refused by name.

use crate::config::types::LogLevel;
use crate::info_hash::InfoHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most bytes of a request with its line break; a longer one ends the connection.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// The most torrents that one request names: some 43 bytes each.
pub const TORRENTS_OF_A_REQUEST: usize = 1024;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the tracker is.
    Status,
    /// Every counter, as `/stats?format=json` has them.
    Stats,
    /// Read the configuration and the lists again, as SIGHUP does.
    Reload,
    /// Serve these torrents until the next reload.
    Allow {
        /// At most [`TORRENTS_OF_A_REQUEST`].
        torrents: Vec<InfoHash>,
    },
    /// Serve these torrents no more until the next reload.
    Deny {
        /// At most [`TORRENTS_OF_A_REQUEST`].
        torrents: Vec<InfoHash>,
    },
    /// Some of the torrents on the list, in the order of their hashes.
    List {
        /// Begin behind this one.
        after: Option<InfoHash>,
    },
    /// The largest swarms.
    Top {
        /// How many of them.
        count: u16,
    },
    /// One torrent.
    Torrent {
        /// Which.
        torrent: InfoHash,
    },
    /// Take in no new clients, and end.
    Drain {
        /// Seconds after which it ends though there are still clients.
        within_secs: u32,
        /// Keep the connection open until the tracker ends.
        wait: bool,
    },
    /// Write messages of this level and above from now on.
    Log {
        /// The level.
        level: LogLevel,
    },
}

/// What the tracker says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done, or told; an object.
    Ok(Value),
    /// It is refused or has failed, and why.
    Error(String),
}

#[cfg(test)]
mod tests {
    use super::{Answer, MAX_LINE_BYTES, Request, TORRENTS_OF_A_REQUEST};
    use crate::config::types::LogLevel;
    use crate::info_hash::InfoHash;

    fn line(request: &Request) -> String {
        serde_json::to_string(request).unwrap()
    }

    #[test]
    fn requests_and_answers_have_their_literal_lines() {
        let torrent = InfoHash([0xab; 20]);
        let digits = "AB".repeat(20);
        for (request, expected) in [
            (Request::Status, r#"{"command":"status"}"#.to_owned()),
            (
                Request::Allow { torrents: vec![torrent] },
                format!(r#"{{"command":"allow","torrents":["{digits}"]}}"#),
            ),
            (Request::List { after: None }, r#"{"command":"list","after":null}"#.to_owned()),
            (
                Request::Drain { within_secs: 30, wait: false },
                r#"{"command":"drain","within_secs":30,"wait":false}"#.to_owned(),
            ),
            (Request::Log { level: LogLevel::Debug }, r#"{"command":"log","level":"debug"}"#.to_owned()),
        ] {
            assert_eq!(line(&request), expected);
            assert_eq!(serde_json::from_str::<Request>(&expected).unwrap(), request);
        }
        let refused = Answer::Error("no".to_owned());
        assert_eq!(serde_json::to_string(&refused).unwrap(), r#"{"error":"no"}"#);
        let done = Answer::Ok(serde_json::json!({ "changed": 1 }));
        assert_eq!(serde_json::to_string(&done).unwrap(), r#"{"ok":{"changed":1}}"#);
    }

    #[test]
    fn the_largest_request_fits_in_a_line() {
        let torrents = vec![InfoHash([0; 20]); TORRENTS_OF_A_REQUEST];
        assert!(line(&Request::Allow { torrents }).len() < MAX_LINE_BYTES);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for wrong in
            ["", "{}", r#"{"command":"stop"}"#, r#"{"command":"top"}"#, r#"{"command":"top","count":-1}"#]
        {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
        let error = serde_json::from_str::<Request>(r#"{"command":"stop"}"#).unwrap_err().to_string();
        assert!(error.contains("stop") && error.contains("drain"), "{error}");
    }
}
