//! A daemon that drains has the program answer no more connects.

use crate::hosts::{GENERIC, of_program, with_hosts};
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, connect_request};

#[test]
fn a_daemon_that_drains_answers_announces_and_no_connects() {
    with_hosts(|hosts| {
        let directory = TemporaryDirectory::new();
        let socket = directory.path().join("control.sock");
        let socket = socket.to_str().expect("the path is text");
        let set = format!("control.socket={socket}");
        let mut daemon = hosts.start(&[GENERIC, &["--set", &set]].concat());
        hosts.assert_program_serves(&daemon);
        let mut client = hosts.client();
        let id = client.connect();
        let drain = ["ctl", "--socket", socket, "drain", "--within", "60"];
        let drained = Daemon::command_as_given(&drain).output().expect("the binary runs");
        assert!(drained.status.success(), "{drained:?}");
        for transaction_id in 1..=5 {
            client.send(&connect_request(transaction_id));
        }
        // One may have been the last to be answered: it came before the answer to this.
        let announce = AnnounceRequest::new(id, 6881).payload();
        let mut answer = client.ask(&announce);
        if answer[..4] == [0, 0, 0, 0] {
            answer = client.receive();
        }
        assert_eq!(answer[..4], [0, 0, 0, 1]);
        hosts.await_stats(&daemon, "the program has dropped at least four of five", |stats| {
            of_program(stats, "connect_over_budget") >= 4
        });
        assert!(daemon.await_exit().success(), "{}", daemon.log());
    });
}
