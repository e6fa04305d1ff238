//! The rules of the tracker protocol over HTTP, one test each, against a worker with a real tracker, over real
//! TCP connections on loopback. (Marked as tests even where they only help tests, for the lints' sake.)

#[cfg(test)]
mod announce;
#[cfg(test)]
mod bencode_writer;
#[cfg(test)]
mod client;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod encoding;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod full_scrape;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod scrape;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stats;
#[cfg(test)]
mod strict_bencode;
