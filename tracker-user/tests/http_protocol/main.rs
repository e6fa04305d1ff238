//! The rules of the tracker protocol over HTTP, one test each, against a worker with a real tracker, over real
//! TCP connections on loopback.

mod announce;
mod bencode_writer;
mod client;
mod connections;
mod encoding;
mod endpoints;
mod requests;
mod scrape;
mod server;
mod strict_bencode;
