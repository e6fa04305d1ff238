//! Debian's opentracker and this tracker side by side: what one sequence of requests gets from each of them, field by field.
//! What differs must be one of the differences that `docs/opentracker-compatibility.md` gives a reason for.

mod bencode;
mod differences;
mod fields;
mod replay;
mod requests;
mod sample_configuration;
mod statistics;
mod swarms;
