//! `opentracker-xdp ctl` against the real daemon: every command, its exit codes, who may use it, and what it withstands.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod socket;
