//! The kernel program's verdicts: a packet in, a verdict, an action and a packet out, one row each.
//!
//! Nothing here touches an interface: what the wire makes of the answers is tested elsewhere.

mod agreement;
mod answers;
mod frames;
mod handed_over;
mod headers;
mod ids;
mod requests;
mod scene;
mod settings;
mod size;
mod sources;
mod table;
