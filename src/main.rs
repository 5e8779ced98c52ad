//! Parse, set up logs, run one command, turn its failure into an exit code.

fn main() {}
