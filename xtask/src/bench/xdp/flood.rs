//! What a flood from forged sources leaves to honest clients, with the program and without.

use super::frames;
use super::network::HONEST_NETWORK;
use super::scene::{Generator, Receiving, Scene, Setting, WayIn, tracker_address};
use crate::bench::report::Spread;
use anyhow::{Context, Result, anyhow};
use nix::time::{ClockId, clock_gettime};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tracker_common::connection_id::{Keys, Slot, issue};
use tracker_common::wire::{ACTION_ANNOUNCE, ACTION_CONNECT, request, response};

const CLIENTS: u8 = 100;
/// For how long a client waits for an answer; it does not ask again.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Between two visits of a client: connect and announce.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the flood runs before the clients come.
const WARM_UP: Duration = Duration::from_millis(300);
/// Answered requests of honest clients, of a hundred.
const TARGET_PERCENT: f64 = 99.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flood {
    Connects,
    WrongIds,
}

/// One flood over one way in.
struct Series {
    flood: Flood,
    way_in: WayIn,
    answered_percent: Vec<f64>,
    flood_per_sec: Vec<f64>,
}

/// Requests of all honest clients.
#[derive(Default)]
struct Tally {
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Flood {
    fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::WrongIds => "wrong ids",
        }
    }

    fn payload(self) -> Result<Vec<u8>> {
        if self == Self::Connects {
            return Ok(frames::connect());
        }
        // Of the right age, so that it takes a hash to see that it is wrong.
        let now_ns = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos() as u64;
        let id = issue(&Keys::new([[1, 2], [3, 4]]), [0; 16], Slot::from_monotonic_ns(now_ns));
        Ok(frames::request_of(id, ACTION_ANNOUNCE, request::ANNOUNCE_LEN))
    }
}

/// Measures and prints.
pub(super) fn run(setting: &Setting, rounds: u32, seconds: u32) -> Result<()> {
    let mut all_series = Vec::new();
    for flood in [Flood::Connects, Flood::WrongIds] {
        for way_in in [WayIn::Native, WayIn::Sockets] {
            let (answered_percent, flood_per_sec) = (Vec::new(), Vec::new());
            all_series.push(Series { flood, way_in, answered_percent, flood_per_sec });
        }
    }
    for round in 0..rounds as usize {
        for turn in 0..all_series.len() {
            let index = (round + turn) % all_series.len();
            let series = &mut all_series[index];
            series.measure(setting, Duration::from_secs(seconds.into()))?;
            eprintln!(
                "round {} {} over {}: {:.2} % answered, {:.0} packets/s",
                round + 1,
                series.flood.name(),
                series.way_in.name(),
                series.answered_percent.last().copied().unwrap_or_default(),
                series.flood_per_sec.last().copied().unwrap_or_default(),
            );
        }
    }
    print!("{}", text(&all_series, rounds, seconds));
    Ok(())
}

impl Series {
    fn measure(&mut self, setting: &Setting, duration: Duration) -> Result<()> {
        let mut scene = Scene::new(setting, self.way_in, Receiving::OnSenderCore)?;
        let payload = self.flood.payload()?;
        let (stop, tally) = (AtomicBool::new(false), Tally::default());
        let source = Generator::new(&payload, None)?;
        let flood_secs = thread::scope(|scope| {
            let started = Instant::now();
            let generator = scope.spawn(|| scene.generate(&source, &stop));
            thread::sleep(WARM_UP);
            let honest = be_honest(&scene, setting, duration, &tally);
            stop.store(true, Ordering::Relaxed);
            generator.join().map_err(|_| anyhow!("the generator has panicked"))??;
            honest.map(|()| started.elapsed().as_secs_f64())
        })?;
        scene.check()?;
        let asked = tally.asked.load(Ordering::Relaxed);
        self.answered_percent.push(100.0 * tally.answered.load(Ordering::Relaxed) as f64 / asked as f64);
        self.flood_per_sec.push(source.sent()? as f64 / flood_secs);
        Ok(())
    }
}

/// Lets all honest clients ask for so long.
fn be_honest(scene: &Scene<'_>, setting: &Setting, duration: Duration, tally: &Tally) -> Result<()> {
    let until = Instant::now() + duration;
    thread::scope(|scope| {
        let client = |number| {
            scope.spawn(move || {
                scene.network.client.enter(setting.client_core)?;
                let [first, second] = HONEST_NETWORK;
                let address = Ipv4Addr::new(first, second, 0, number);
                let socket = UdpSocket::bind((address, 0)).context("cannot bind an honest client")?;
                socket.set_read_timeout(Some(ANSWER_LIMIT))?;
                socket.connect(tracker_address())?;
                while Instant::now() < until {
                    visit(&socket, tally);
                    thread::sleep(PAUSE);
                }
                Ok(())
            })
        };
        let clients: Vec<_> = (1..=CLIENTS).map(client).collect();
        let mut ends = clients.into_iter().map(|client| client.join());
        ends.try_for_each(|end| end.map_err(|_| anyhow!("a client has panicked"))?)
    })
}

/// One connect, and one announce with its id.
fn visit(socket: &UdpSocket, tally: &Tally) {
    let Some(answer) = ask(socket, &frames::connect(), ACTION_CONNECT, tally) else { return };
    let Ok(id) = answer[response::CONNECTION_ID].try_into() else { return };
    let announce = frames::request_of(u64::from_be_bytes(id), ACTION_ANNOUNCE, request::ANNOUNCE_LEN);
    ask(socket, &announce, ACTION_ANNOUNCE, tally);
}

fn ask(socket: &UdpSocket, request: &[u8], action: u32, tally: &Tally) -> Option<[u8; 2048]> {
    tally.asked.fetch_add(1, Ordering::Relaxed);
    let mut answer = [0; 2048];
    // A full queue on the way is a loss like any other.
    socket.send(request).ok()?;
    // An answer that came too late for the request before belongs to nobody: BEP 15 tells them apart by action here.
    loop {
        let len = socket.recv(&mut answer).ok()?;
        if len >= response::CONNECT_LEN && answer[response::ACTION] == action.to_be_bytes() {
            tally.answered.fetch_add(1, Ordering::Relaxed);
            return Some(answer);
        }
    }
}

fn text(all_series: &[Series], rounds: u32, seconds: u32) -> String {
    let mut text =
        format!("\nflood, {CLIENTS} honest clients, {rounds} rounds of {seconds} s: median (min–max)\n");
    text +=
        &format!("{:10}  {:12}  {:>26}  {:>28}\n", "flood", "way in", "honest answered %", "flood packets/s");
    for series in all_series {
        let answered = Spread::of(series.answered_percent.clone());
        let flood = Spread::of(series.flood_per_sec.clone());
        text +=
            &format!("{:10}  {:12}  {answered:>26}  {flood:>28}", series.flood.name(), series.way_in.name());
        if series.way_in == WayIn::Native {
            let verdict = if answered.median >= TARGET_PERCENT { "reached" } else { "missed" };
            text += &format!("  target {TARGET_PERCENT} % {verdict}");
        }
        text.push('\n');
    }
    text
}
