//! `kiki-chaos`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    kiki_chaos::cli::main()
}
