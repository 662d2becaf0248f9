//! Every bound a user or a peer can meet, each with its unit and its reason.

/// Characters in an app's name: with `dinp-`, `-` and the instance id it stays a DNS label of 63.
pub const APP_NAME_LENGTH: usize = 48;
/// Instances an app may want: one node of one bridge holds at most 1,000 (a Linux bridge has 1,023 ports).
pub const INSTANCES_PER_APP: u32 = 1_000;
/// Instances a node may hold, for the same reason.
pub const INSTANCES_PER_NODE: u32 = 1_000;
/// Bytes of one uploaded artifact.
pub const ARTIFACT_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes an archive may unpack to; more is a bomb or a mistake.
pub const UNPACKED_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Files and folders in one archive.
pub const ARCHIVE_ENTRIES: u64 = 200_000;
/// Bytes of a JSON request body.
pub const JSON_BODY_BYTES: usize = 1024 * 1024;
/// Bytes of environment, keys and values together, per release: the kernel's own limit for one exec is 2 MiB.
pub const ENV_BYTES: usize = 128 * 1024;
/// The smallest memory an instance may have, in MiB: Docker itself refuses less than 6.
pub const MEMORY_MIN_MIB: u64 = 8;
/// Bytes of a dead instance's last output that are kept with the event.
pub const LAST_OUTPUT_BYTES: usize = 32 * 1024;
/// Items on one page of a list.
pub const PAGE_ITEMS: u32 = 200;
/// Bytes of one message on an agent's connection. Agents shorten outputs to stay below. 1,000 assignments do with 8 KiB
/// of environment each, 120 with a full one; a server must not give a node more than fits.
pub const WIRE_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Releases whose images are kept, newest first.
pub const RELEASES_KEPT: usize = 5;
/// Seconds a long poll (`?wait=`) may hold a request.
pub const LONG_POLL_SECONDS: u64 = 60;
/// Seconds a stream may stay silent. A server sends a keep-alive in time (an empty line in NDJSON, a comment in SSE),
/// and a reader that waits three times as long takes the connection for dead.
pub const STREAM_KEEP_ALIVE_SECONDS: u64 = 15;
