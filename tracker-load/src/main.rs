//! tracker-load: puts load on a UDP tracker of one's own and measures what it answers.
//!
//! A request is drawn (`draw`, `population`), written (`request`) when it is due (`pace`), sent by a `carrier`, kept in mind
//! (`outstanding`) until its answer comes or its time is over, and counted (`tally`). `generator` is the loop of it. No
//! tracker is sent to that the operator has not called his own (`permission`).

mod arguments;
mod carrier;
mod clock;
mod draw;
mod generator;
mod launch;
mod outstanding;
mod pace;
mod permission;
mod picture;
mod population;
mod report;
mod request;
mod run;
mod sweeps;
mod tally;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Sweep(arguments) => run::sweep(&arguments),
        Command::Picture(arguments) => sweeps::draw(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not returned from main: a backtrace would hide the cause and the remedy.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
