//! The generated messages, clients and servers, and the descriptors that reflection serves.

pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, reason = "generated code")]
    tonic::include_proto!("rolecall.v1");
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));
}

/// Every file of the contract with its comments and options.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
