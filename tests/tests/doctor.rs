//! `opentracker-xdp doctor`, the real binary on the real host, in network namespaces where interfaces are needed.

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tracker_tests::daemon::Daemon;
use tracker_tests::skip::{is_root_or_skipped, skipped};

fn doctor(arguments: &[&str]) -> Output {
    doctor_command(arguments).output().expect("the binary runs")
}

fn doctor_command(arguments: &[&str]) -> Command {
    let mut command = Daemon::command_as_given(&["doctor"]);
    command.args(arguments);
    command
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("the doctor writes UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("the doctor writes JSON")
}

/// Every `says` about a subject.
fn said(document: &Value, subject: &str) -> Vec<String> {
    let findings = document["findings"].as_array().expect("findings are an array").iter();
    let findings = findings.filter(|finding| finding["subject"] == subject);
    findings.map(|finding| finding["says"].as_str().expect("a finding has words").to_owned()).collect()
}

fn obstacles<'a>(document: &'a Value, subject: &str) -> Vec<&'a Value> {
    let findings = document["findings"].as_array().expect("findings are an array").iter();
    findings.filter(|finding| finding["subject"] == subject && finding["status"] == "obstacle").collect()
}

#[test]
fn the_text_names_the_kernel_and_the_loopback_interface() {
    let output = doctor(&["-i", "127.0.0.1"]);
    let text = text(&output);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(text.contains(release.trim()), "{text}");
    for heading in ["kernel", "capabilities", "clock", "limits", "conntrack", "build", "interface", "mode"] {
        assert!(text.lines().any(|line| line == heading), "no {heading} in:\n{text}");
    }
    assert!(text.contains("driver loopback"), "{text}");
    let obstacles = text.lines().last().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!obstacles.starts_with("0 obstacles"))), "{text}");
}

#[test]
fn the_json_has_every_area_and_counts_what_it_lists() {
    let output = doctor(&["--json", "-i", "127.0.0.1"]);
    let document = json(&output);
    let findings = document["findings"].as_array().unwrap();
    for area in ["kernel", "capabilities", "clock", "limits", "conntrack", "build", "interface"] {
        assert!(findings.iter().any(|finding| finding["area"] == area), "no {area}");
    }
    for (status, count) in [("obstacle", "obstacles"), ("warning", "warnings")] {
        let listed = findings.iter().filter(|finding| finding["status"] == status).count();
        assert_eq!(document[count], listed);
    }
    assert_eq!(document["modes"][0]["interface"], "lo");
    assert_eq!(document["modes"][0]["mode"], "socket");
    assert_eq!(output.status.success(), document["obstacles"] == 0);
}

#[test]
fn options_count_as_they_do_for_the_tracker() {
    let refused = doctor(&["-i", "nonsense"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nonsense"));
    // TEST-NET-3: nobody carries it.
    let document = json(&doctor(&["-i", "203.0.113.77", "--json"]));
    assert_eq!(obstacles(&document, "203.0.113.77").len(), 1, "{document:#}");
    assert_eq!(document["modes"].as_array().unwrap().len(), 0);
    // Not the first argument: no subcommand, and no such option either.
    let elsewhere = Daemon::command_as_given(&["-i", "127.0.0.1", "doctor"]).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(2));
}

#[test]
fn without_privileges_it_names_what_is_missing_and_exits_with_1() {
    let mut command = doctor_command(&["--json", "-i", "127.0.0.1", "-P", "80"]);
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let Ok(output) = command.output() else {
        return skipped("doctor without privileges: another user may not run the binary");
    };
    let document = json(&output);
    for capability in ["CAP_BPF", "CAP_NET_ADMIN"] {
        let found = obstacles(&document, capability);
        assert_eq!(found.len(), 1, "{document:#}");
        assert!(found[0]["mend"].as_str().unwrap().starts_with("setcap "));
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_time_namespace_is_an_obstacle() {
    if !is_root_or_skipped("doctor in a time namespace") {
        return;
    }
    let doctor = doctor_command(&["--json", "-i", "127.0.0.1"]);
    let mut command = Command::new("unshare");
    command
        .args(["--time", "--monotonic", "86400", "--fork"])
        .arg(doctor.get_program())
        .args(doctor.get_args());
    let output = command.output();
    let Some(output) = output.ok().filter(|output| !output.stdout.is_empty()) else {
        return skipped("doctor in a time namespace: unshare --time does not work here");
    };
    let document = json(&output);
    assert_eq!(obstacles(&document, "time namespace").len(), 1, "{document:#}");
    assert!(said(&document, "time namespace")[0].contains("86400 s"));
    assert_eq!(output.status.code(), Some(1));
}

/// Runs a test on a thread in a network namespace of its own, which ends with the thread and what it started.
fn in_network_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[track_caller]
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip(8) is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ip(8) writes UTF-8")
}

/// veth0 with three receive queues and two to transmit, and its peer veth1; both up.
fn make_veth_pair() {
    ip("link add veth0 numrxqueues 3 numtxqueues 2 type veth peer name veth1 numrxqueues 2 numtxqueues 3");
    ip("address add 192.0.2.1/24 dev veth0");
    ip("link set dev veth0 up");
    ip("link set dev veth1 up");
    // The kernel takes note of the new carrier in a worker of its own.
    let deadline = Instant::now() + Duration::from_secs(30);
    while ["veth0", "veth1"].iter().any(|end| !ip(&format!("link show dev {end}")).contains("state UP")) {
        assert!(Instant::now() < deadline, "no carrier: {}", ip("link show"));
    }
}

const ON_VETH: [&str; 3] = ["--json", "-i", "192.0.2.1"];

#[test]
fn a_veth_is_described_with_its_queues_and_its_peer() {
    if !is_root_or_skipped("doctor on a veth") {
        return;
    }
    in_network_namespace(|| {
        make_veth_pair();
        let document = json(&doctor(&ON_VETH));
        assert_eq!(document["modes"].as_array().unwrap().len(), 1, "veth1 carries no address: {document:#}");
        let said_of_veth = said(&document, "veth0");
        assert_eq!(said_of_veth[0], "driver veth; queues: 3 to receive, 2 to transmit; MTU 1500");
        assert!(said(&document, "veth1").is_empty());
        if said_of_veth[1].starts_with("the kernel does not say") {
            skipped("what a veth's driver can do: needs xdp-features (Linux 6.3)");
        } else {
            assert!(said_of_veth[1].starts_with("native XDP, AF_XDP with a copy"), "{said_of_veth:?}");
        }
        let lost = obstacles(&document, "veth0");
        assert_eq!(lost.len(), 1, "a new veth has no GRO: {document:#}");
        assert_eq!(lost[0]["hinders"], "xdp-answers");
    });
}

#[test]
fn a_peer_with_an_xdp_program_takes_answers() {
    if !is_root_or_skipped("doctor on a veth whose peer has an XDP program") {
        return;
    }
    in_network_namespace(|| {
        make_veth_pair();
        let _attached = attach_pass_everything("veth1", XDP_FLAGS_DRV_MODE);
        let document = json(&doctor(&ON_VETH));
        assert!(obstacles(&document, "veth0").is_empty(), "{document:#}");
    });
}

#[test]
fn another_xdp_program_is_named_with_its_id_in_every_mode() {
    if !is_root_or_skipped("doctor beside another XDP program") {
        return;
    }
    for (flags, place) in [(XDP_FLAGS_SKB_MODE, "generic"), (XDP_FLAGS_DRV_MODE, "native")] {
        in_network_namespace(|| {
            make_veth_pair();
            let attached = attach_pass_everything("veth0", flags);
            // What ip(8) says: `prog/xdp id 12 name …`.
            let shown = ip("-d link show dev veth0");
            let (_, id) = shown.split_once("prog/xdp id ").expect("ip(8) sees the program");
            let id = id.split_whitespace().next().unwrap();
            let output = doctor(&ON_VETH);
            let document = json(&output);
            let expected = format!("XDP program {id} (pass_everything, {place}) is attached");
            let found = obstacles(&document, "veth0");
            assert!(
                found.iter().any(|finding| finding["says"].as_str().unwrap().starts_with(&expected)),
                "{document:#}"
            );
            assert_eq!(output.status.code(), Some(1));
            drop(attached);
            let after = json(&doctor(&ON_VETH));
            assert!(!said(&after, "veth0").iter().any(|says| says.contains("pass_everything")), "{after:#}");
        });
    }
}

#[test]
fn a_look_changes_nothing() {
    if !is_root_or_skipped("doctor before and after") {
        return;
    }
    in_network_namespace(|| {
        make_veth_pair();
        let before = ip("-d link show");
        doctor(&ON_VETH);
        assert_eq!(ip("-d link show"), before);
    });
}

const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Attaches a program of two instructions that passes every packet, for as long as what is returned is kept.
fn attach_pass_everything(interface: &str, flags: u32) -> OwnedFd {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    const BPF_XDP: u32 = 37;
    // r0 = XDP_PASS; exit
    let instructions: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];
    let licence = c"GPL";
    let mut name = [0; 16];
    name[..15].copy_from_slice(b"pass_everything");
    let mut load = Vec::new();
    load.extend(BPF_PROG_TYPE_XDP.to_ne_bytes());
    load.extend((instructions.len() as u32).to_ne_bytes());
    load.extend((instructions.as_ptr() as u64).to_ne_bytes());
    load.extend((licence.as_ptr() as u64).to_ne_bytes());
    // No log, no flags.
    load.extend([0; 24]);
    load.extend(name);
    let program = bpf(BPF_PROG_LOAD, &load);
    let index = nix::net::if_::if_nametoindex(interface).expect("the test has made the interface");
    let link = [program.as_raw_fd() as u32, index, BPF_XDP, flags].map(u32::to_ne_bytes).concat();
    bpf(BPF_LINK_CREATE, &link)
}

/// A command of bpf(2) that returns a descriptor.
#[track_caller]
fn bpf(command: libc::c_long, attributes: &[u8]) -> OwnedFd {
    // SAFETY: the kernel reads `attributes` within their length, and what they point to outlives the call.
    let descriptor = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), attributes.len()) };
    assert!(descriptor >= 0, "bpf({command}): {}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just made it for us alone.
    unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
}
