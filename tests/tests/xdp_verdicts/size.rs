//! What the program costs the kernel to take in.

use tracker_tests::kernel_program::KernelProgram;

/// The verifier gives up at a million. Far from it there is room for the differences between kernels.
const MAX_VERIFIED_INSTRUCTIONS: u32 = 200_000;

#[test]
fn the_verifier_is_far_from_its_limit() {
    let Some(program) = KernelProgram::load_or_skipped() else { return };
    let verified = program.verified_instructions();
    eprintln!("{verified} instructions verified, loaded in {:?}", program.load_time());
    assert!(verified < MAX_VERIFIED_INSTRUCTIONS, "{verified}");
}
