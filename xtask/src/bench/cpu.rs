//! Cores, and the CPU time that processes and cores spend, as the kernel counts it in /proc.

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use std::fs;

/// The number of a core, from 0.
pub(super) type Core = u32;

/// CPU time spent so far by a process and by its core.
#[derive(Clone, Copy)]
pub(super) struct CpuTime {
    /// User and system time of all threads of the process.
    pub(super) process_secs: f64,
    /// All time in which the core was not idle, interrupts included.
    pub(super) core_secs: f64,
}

impl CpuTime {
    /// What `process` and `core` have spent until now.
    pub(super) fn read(process: u32, core: Core) -> Result<Self> {
        let ticks_per_sec = sysconf(SysconfVar::CLK_TCK)?.context("the kernel does not say CLK_TCK")? as f64;
        let path = format!("/proc/{process}/stat");
        let process_stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let process_ticks = process_ticks(&process_stat).with_context(|| format!("cannot parse {path}"))?;
        let core_stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let core_ticks = core_ticks(&core_stat, core).context("cannot parse /proc/stat")?;
        Ok(Self {
            process_secs: process_ticks as f64 / ticks_per_sec,
            core_secs: core_ticks as f64 / ticks_per_sec,
        })
    }
}

/// How often each core has taken in packets in an interrupt, in the order of the cores.
pub(super) fn receive_interrupts() -> Result<Vec<u64>> {
    let counts = fs::read_to_string("/proc/softirqs").context("cannot read /proc/softirqs")?;
    receive_counts(&counts).context("cannot parse /proc/softirqs")
}

/// The line `NET_RX` of /proc/softirqs.
fn receive_counts(counts: &str) -> Option<Vec<u64>> {
    let line = counts.lines().find_map(|line| line.trim_start().strip_prefix("NET_RX:"))?;
    line.split_whitespace().map(|count| count.parse().ok()).collect()
}

/// utime and stime, fields 14 and 15 of /proc/PID/stat.
fn process_ticks(stat: &str) -> Option<u64> {
    // The second field, a name in parentheses, may itself hold blanks and parentheses.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The times of a core in /proc/stat, without idle and iowait.
fn core_ticks(stat: &str, core: Core) -> Option<u64> {
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let times: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    // user, nice, system, idle, iowait, irq, softirq; what follows is other guests' time.
    let [user, nice, system, _idle, _iowait, interrupt, soft_interrupt, ..] = times[..] else { return None };
    Some(user + nice + system + interrupt + soft_interrupt)
}

/// The cores that this process may use, in order.
pub(super) fn allowed_cores() -> Result<Vec<Core>> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(|list| parse_core_list(list.trim()))
        .context("cannot parse Cpus_allowed_list in /proc/self/status")
}

/// A list such as `0-2,5`.
fn parse_core_list(list: &str) -> Option<Vec<Core>> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<Core>().ok()?..=last.parse::<Core>().ok()?);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::{core_ticks, parse_core_list, process_ticks, receive_counts};

    #[test]
    fn a_process_name_may_hold_blanks_and_parentheses() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 125 7 7 20 0 1 0 100";
        assert_eq!(process_ticks(stat), Some(375));
    }

    #[test]
    fn idle_time_of_a_core_does_not_count() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 4 1000 2000 8 16 4000 0 0\n";
        assert_eq!(core_ticks(stat, 1), Some(31));
        assert_eq!(core_ticks(stat, 0), None);
    }

    #[test]
    fn received_packets_are_counted_by_core() {
        let counts = "                    CPU0       CPU1\n      NET_TX:          5          6\n      NET_RX:   51393458   42302957\n";
        assert_eq!(receive_counts(counts), Some(vec![51_393_458, 42_302_957]));
        assert_eq!(receive_counts("NET_TX: 5 6"), None);
    }

    #[test]
    fn a_core_list_has_ranges_and_single_cores() {
        assert_eq!(parse_core_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_core_list(""), None);
    }
}
