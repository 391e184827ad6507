//! Arguments in, exit status out.

use std::process::ExitCode;

/// Faster than the system's where many small things come and go on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rolecall::cli::main()
}
