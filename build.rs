//! Compiles the gRPC interfaces in `proto/`, without a `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 4] = [
    "proto/ltv.proto",
    "proto/syncflow/v1/syncflow.proto",
    "proto/syncvalue/v1/syncvalue.proto",
    "proto/inference/open_inference.proto",
];

/// What nodes say to each other: no client is told of it.
const INNER: [&str; 1] = ["proto/kiki/cluster/v1/link.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // for server reflection
    std::fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    let inner = protox::compile(INNER, ["proto"])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(inner)?;
    Ok(())
}
