//! Kernel, capabilities, clock, limits and connection tracking, each over a directory in the form of `/proc` and `/sys`.

use crate::config::types::{Config, Listen, Transport};
use crate::doctor::finding::{Finding, Hinders, Status};
use crate::doctor::host::Host;
use crate::doctor::{capabilities, clock, conntrack, kernel, limits};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that describes a host on which all is well; a test changes what it is about.
pub(super) struct Fixture(PathBuf);

impl Fixture {
    pub(super) fn healthy() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("doctor-{}-{number}", std::process::id()));
        Self(root)
            .with("proc/sys/kernel/osrelease", "6.12.9-amd64\n")
            .with("proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
            .with("proc/sys/net/core/bpf_jit_enable", "1\n")
            .with("proc/sys/net/core/rmem_max", "8388608\n")
            .with("proc/sys/net/ipv4/ip_unprivileged_port_start", "1024\n")
            .with("proc/self/status", "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n")
            .with("proc/self/uid_map", "         0          0 4294967295\n")
            .with("proc/self/timens_offsets", "monotonic           0         0\nboottime  0 0\n")
            .with(
                "proc/self/limits",
                "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  65536  65536  bytes\n",
            )
            .with("sys/kernel/btf/vmlinux", "")
    }

    pub(super) fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.0.join(path)).unwrap();
        self
    }

    fn with_link(self, path: &str, target: &str) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(Path::new(target), path).unwrap();
        self
    }

    pub(super) fn with_capabilities(self, bits: &[u32]) -> Self {
        let effective = bits.iter().fold(0_u64, |set, bit| set | 1 << bit);
        self.with("proc/self/status", &format!("CapPrm:\t000001ffffffffff\nCapEff:\t{effective:016x}\n"))
    }

    pub(super) fn host(&self) -> Host {
        Host::described_in(&self.0)
    }

    /// Every finding of every area.
    fn examine(&self, config: &Config) -> Vec<Finding> {
        let host = self.host();
        let mut findings = kernel::examine(&host);
        findings.extend(capabilities::examine(&host, config, "/bin/opentracker-xdp"));
        findings.extend(clock::examine(&host));
        findings.extend(limits::examine(&host, config));
        findings.extend(conntrack::examine(&host, config));
        findings
    }

    /// The one finding that is not as it should be.
    fn only_complaint(&self, config: &Config) -> Finding {
        let findings = self.examine(config);
        let mut complaints = findings.into_iter().filter(|finding| finding.status != Status::Ok);
        let complaint = complaints.next().expect("something is wrong with this host");
        assert_eq!(complaints.next(), None, "beside {complaint:?}");
        complaint
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // What stays behind lies in the directory for temporary files.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn listening_on(port: u16) -> Config {
    let address = format!("192.0.2.1:{port}").parse().unwrap();
    let listen = vec![Listen { transport: Transport::Udp, address, udp_workers: None }];
    Config { listen, ..Config::default() }
}

#[track_caller]
fn assert_obstacle(finding: &Finding, subject: &str, hinders: Hinders) {
    assert_eq!((finding.subject.as_str(), finding.status), (subject, Status::Obstacle), "{finding:?}");
    assert_eq!(finding.hinders, Some(hinders));
    assert!(finding.mend.is_some(), "{finding:?}");
}

#[test]
fn a_healthy_host_has_nothing_to_complain_of() {
    let findings = Fixture::healthy().examine(&Config::default());
    let complaints: Vec<_> = findings.iter().filter(|finding| finding.status != Status::Ok).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    for area in ["kernel", "capabilities", "clock", "limits", "conntrack"] {
        assert!(findings.iter().any(|finding| finding.area == area), "{area}");
    }
}

#[test]
fn a_kernel_before_5_18_loads_no_program_of_several_buffers() {
    for (release, is_refused) in
        [("5.15.0-91-generic", true), ("5.17.9", true), ("5.18.0", false), ("6.1.0", false)]
    {
        let host = Fixture::healthy().with("proc/sys/kernel/osrelease", release);
        if is_refused {
            assert_obstacle(&host.only_complaint(&Config::default()), "version", Hinders::Xdp);
        } else {
            assert!(host.examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
        }
    }
}

#[test]
fn missing_types_are_a_warning() {
    let finding = Fixture::healthy().without("sys/kernel/btf/vmlinux").only_complaint(&Config::default());
    assert_eq!((finding.subject.as_str(), finding.status), ("BTF", Status::Warning));
}

#[test]
fn a_kernel_without_bpf_is_an_obstacle() {
    let host = Fixture::healthy().without("proc/sys/kernel/unprivileged_bpf_disabled");
    let finding = host.only_complaint(&Config::default());
    assert_obstacle(&finding, "kernel.unprivileged_bpf_disabled", Hinders::Xdp);
}

#[test]
fn programs_that_everyone_may_load_and_an_interpreter_are_warnings() {
    for setting in ["kernel/unprivileged_bpf_disabled", "net/core/bpf_jit_enable"] {
        let host = Fixture::healthy().with(&format!("proc/sys/{setting}"), "0\n");
        let finding = host.only_complaint(&Config::default());
        assert_eq!((finding.subject, finding.status), (setting.replace('/', "."), Status::Warning));
        assert!(finding.mend.unwrap().starts_with("sysctl -w "));
    }
}

#[test]
fn a_setting_that_another_network_namespace_hides_is_no_complaint() {
    let host =
        Fixture::healthy().without("proc/sys/net/core/bpf_jit_enable").without("proc/sys/net/core/rmem_max");
    assert!(host.examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
}

#[test]
fn loading_takes_cap_bpf_and_attaching_cap_net_admin() {
    let (net_bind, net_admin, net_raw, perfmon, bpf) = (10, 12, 13, 38, 39);
    let without_bpf = Fixture::healthy().with_capabilities(&[net_bind, net_admin, net_raw, perfmon]);
    assert_obstacle(&without_bpf.only_complaint(&Config::default()), "CAP_BPF", Hinders::Xdp);
    let without_net_admin = Fixture::healthy().with_capabilities(&[net_bind, net_raw, perfmon, bpf]);
    assert_obstacle(&without_net_admin.only_complaint(&Config::default()), "CAP_NET_ADMIN", Hinders::Xdp);
}

#[test]
fn cap_sys_admin_stands_for_cap_bpf_and_cap_perfmon() {
    let (net_admin, net_raw, sys_admin) = (12, 13, 21);
    let host = Fixture::healthy().with_capabilities(&[net_admin, net_raw, sys_admin]);
    assert!(host.examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
}

#[test]
fn without_cap_net_raw_there_is_no_af_xdp() {
    let (net_admin, sys_admin) = (12, 21);
    let host = Fixture::healthy().with_capabilities(&[net_admin, sys_admin]);
    let finding = host.only_complaint(&Config::default());
    assert_eq!((finding.subject.as_str(), finding.status), ("CAP_NET_RAW", Status::Warning));
    assert_eq!(finding.hinders, Some(Hinders::AfXdp));
}

#[test]
fn a_low_port_takes_a_capability_unless_the_kernel_gives_it_to_all() {
    let host = || Fixture::healthy().with_capabilities(&[12, 13, 21]);
    assert_obstacle(&host().only_complaint(&listening_on(80)), "CAP_NET_BIND_SERVICE", Hinders::Start);
    for (first, port) in [("1024", 1024), ("80", 80), ("1024", 0)] {
        let host = host().with("proc/sys/net/ipv4/ip_unprivileged_port_start", first);
        assert!(host.examine(&listening_on(port)).iter().all(|finding| finding.status == Status::Ok));
    }
}

#[test]
fn in_a_user_namespace_capabilities_do_not_count() {
    let host = Fixture::healthy().with("proc/self/uid_map", "         0     100000      65536\n");
    assert_obstacle(&host.only_complaint(&Config::default()), "user namespace", Hinders::Xdp);
}

#[test]
fn a_shifted_clock_is_an_obstacle() {
    for shifted in ["monotonic  86400  0", "monotonic  0  1", "monotonic  -5  0"] {
        let host = Fixture::healthy().with("proc/self/timens_offsets", shifted);
        assert_obstacle(&host.only_complaint(&Config::default()), "time namespace", Hinders::Xdp);
    }
}

#[test]
fn without_offsets_the_time_namespace_is_compared_with_that_of_process_1() {
    let host = || Fixture::healthy().without("proc/self/timens_offsets");
    assert!(host().examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
    let own = "time:[4026531834]";
    let same = host().with_link("proc/self/ns/time", own).with_link("proc/1/ns/time", own);
    assert!(same.examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
    let other = host().with_link("proc/self/ns/time", own).with_link("proc/1/ns/time", "time:[4026532000]");
    assert_obstacle(&other.only_complaint(&Config::default()), "time namespace", Hinders::Xdp);
    let hidden = host().with_link("proc/self/ns/time", own).only_complaint(&Config::default());
    assert_eq!(hidden.status, Status::Warning);
}

#[test]
fn a_receive_buffer_above_the_limit_is_named_with_the_limit_it_needs() {
    let host = Fixture::healthy().with("proc/sys/net/core/rmem_max", "212992\n");
    let mut config = Config::default();
    let finding = host.only_complaint(&config);
    assert_eq!((finding.subject.as_str(), finding.status), ("net.core.rmem_max", Status::Warning));
    let wanted = config.udp.receive_buffer_bytes;
    assert_eq!(finding.mend, Some(format!("sysctl -w net.core.rmem_max={wanted}")));
    config.udp.receive_buffer_bytes = 0;
    assert!(host.examine(&config).iter().all(|finding| finding.status == Status::Ok));
}

#[test]
fn locked_memory_counts_before_5_11_alone() {
    let old = || Fixture::healthy().with("proc/sys/kernel/osrelease", "5.10.0");
    let of = |host: &Fixture| {
        let findings = limits::examine(&host.host(), &Config::default());
        findings.into_iter().find(|finding| finding.subject == "RLIMIT_MEMLOCK").unwrap()
    };
    assert_obstacle(&of(&old()), "RLIMIT_MEMLOCK", Hinders::Xdp);
    let unlimited = old().with("proc/self/limits", "Max locked memory  unlimited  unlimited  bytes\n");
    assert_eq!(of(&unlimited).status, Status::Ok);
    assert_eq!(of(&Fixture::healthy()).status, Status::Ok);
}

#[test]
fn tracked_connections_are_a_warning_and_a_full_table_an_obstacle() {
    let tracking = |count: &str| {
        let host = Fixture::healthy().with("proc/sys/net/netfilter/nf_conntrack_max", "1000\n");
        host.with("proc/sys/net/netfilter/nf_conntrack_count", count)
    };
    assert!(tracking("0").examine(&Config::default()).iter().all(|finding| finding.status == Status::Ok));
    let warning = tracking("1").only_complaint(&listening_on(1337));
    assert_eq!(warning.status, Status::Warning);
    let mend = warning.mend.unwrap();
    assert!(
        mend.contains("udp dport { 1337 } notrack") && mend.contains("udp sport { 1337 } notrack"),
        "{mend}"
    );
    assert_eq!(tracking("899").only_complaint(&Config::default()).status, Status::Warning);
    assert_obstacle(&tracking("900").only_complaint(&Config::default()), "nf_conntrack", Hinders::Requests);
}

#[test]
fn obstacles_to_xdp_alone_do_not_concern_a_tracker_of_sockets() {
    let xdp = Finding::obstacle("kernel", "version", Hinders::Xdp, "too old").for_sockets_alone();
    assert_eq!(xdp.status, Status::Warning);
    for hinders in [Hinders::Start, Hinders::Requests] {
        let finding = Finding::obstacle("kernel", "version", hinders, "so").for_sockets_alone();
        assert_eq!((finding.status, finding.says.as_str()), (Status::Obstacle, "so"));
    }
}
