//! Rows of packet, action and verdict, and what is checked of each.

use crate::answers::answer_to;
use crate::scene::{Scene, in_one_slot};
use tracker_common::verdict::Verdict;
use tracker_tests::kernel_program::Action;

/// One packet and what must become of it.
pub(crate) struct Row {
    name: String,
    frame: Vec<u8>,
    action: Action,
    verdict: Verdict,
}

/// Goes out again as its own answer, checked to the last byte.
pub(crate) fn answered(name: impl Into<String>, frame: Vec<u8>) -> Row {
    Row { name: name.into(), frame, action: Action::Answered, verdict: Verdict::ConnectAnswered }
}

/// Goes on untouched.
pub(crate) fn passed(name: impl Into<String>, frame: Vec<u8>, verdict: Verdict) -> Row {
    Row { name: name.into(), frame, action: Action::Passed, verdict }
}

/// Ends.
pub(crate) fn dropped(name: impl Into<String>, frame: Vec<u8>, verdict: Verdict) -> Row {
    Row { name: name.into(), frame, action: Action::Dropped, verdict }
}

/// Goes untouched to an AF_XDP socket.
pub(crate) fn handed_over(name: impl Into<String>, frame: Vec<u8>, verdict: Verdict) -> Row {
    Row { name: name.into(), frame, action: Action::HandedOver, verdict }
}

/// Runs the rows, made for the present time, and names all that fail.
pub(crate) fn check(scene: &mut Scene, rows: impl Fn(u64) -> Vec<Row>) {
    let failures: Vec<String> =
        in_one_slot(|now_ns| rows(now_ns).iter().filter_map(|row| row.check(scene, now_ns).err()).collect());
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
}

impl Row {
    /// Runs the row; the error says what is wrong.
    pub(crate) fn check(&self, scene: &mut Scene, now_ns: u64) -> Result<(), String> {
        let run = scene.run(&self.frame);
        if (run.action, run.verdict) != (self.action, self.verdict) {
            let expected = (self.action, self.verdict);
            return Err(format!("{}: {:?}, not {expected:?}", self.name, (run.action, run.verdict)));
        }
        if run.counted_bytes != self.frame.len() as u64 {
            return Err(format!(
                "{}: {} bytes counted of {}",
                self.name,
                run.counted_bytes,
                self.frame.len()
            ));
        }
        let output = match self.action {
            Action::Answered => answer_to(&self.frame, &scene.control.keys, now_ns),
            Action::Passed | Action::Dropped | Action::HandedOver => self.frame.clone(),
        };
        if run.output != output {
            return Err(format!("{}: the packet is\n{:02x?}, not\n{output:02x?}", self.name, run.output));
        }
        Ok(())
    }
}
