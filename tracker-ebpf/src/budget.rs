//! Budgets, as the generic cell rate algorithm (ITU-T I.371) keeps them: one number for each, the moment at which
//! what has been spent is earned again.
//!
//! Two CPUs may read and write the same number at once: a packet is then counted late or not at all. A budget is a
//! bound on damage, not an account.

use crate::headers::Address;
use crate::maps;
use tracker_common::abi::Control;

/// Whether a packet is within its budget.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    Within,
    Over,
}

/// Takes one proven packet off the budget of its source: its IPv4 address, or its IPv6 network of 64 bits.
#[inline(always)]
pub(crate) fn of_source(control: &Control, source: Address, now_ns: u64) -> Spent {
    if control.source_cost_ns == 0 {
        return Spent::Within;
    }
    let Some(budget) = maps::source_budget(hash(control, source)) else { return Spent::Within };
    spend(budget, control.source_cost_ns, control.source_burst_ns, now_ns)
}

/// Takes one connect off the budget of all of them.
#[inline(always)]
pub(crate) fn of_connects(control: &Control, now_ns: u64) -> Spent {
    if control.connect_cost_ns == 0 {
        return Spent::Within;
    }
    let Some(budget) = maps::connect_budget() else { return Spent::Within };
    spend(budget, control.connect_cost_ns, control.connect_burst_ns, now_ns)
}

#[inline(always)]
fn spend(budget: *mut u64, cost_ns: u64, burst_ns: u64, now_ns: u64) -> Spent {
    // SAFETY: an element of an array map, which lives as long as the program; any value is valid.
    let earned_at = unsafe { budget.read_volatile() };
    let from = if earned_at > now_ns { earned_at } else { now_ns };
    if from - now_ns > burst_ns {
        return Spent::Over;
    }
    // SAFETY: as above.
    unsafe { budget.write_volatile(from + cost_ns) };
    Spent::Within
}

/// A keyed mix, a third of the price of SipHash. The source has proven that it owns its address, so all that a guessed
/// key would win it is a budget shared with a neighbour.
#[inline(always)]
fn hash(control: &Control, source: Address) -> u32 {
    let [high, low] = source.0;
    // The first eight bytes of an IPv4 address in IPv6 are zero: the address itself is in the others.
    let network = if high == 0 { low } else { high };
    let mut mixed = (network ^ control.source_hash_key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 32) as u32
}
