//! How commands reach the daemon: a Unix socket in the state folder, which who holds the folder's lock listens on.
//!
//! A connection carries one order. The client sends a line of JSON, the daemon answers with lines of JSON: that it has taken the order, what happens
//! meanwhile, and the end. The file's mode (0600) says who may ask. A client that goes away takes nothing back.

pub mod client;
mod lines;
mod plain;
pub mod protocol;
pub mod server;
mod socket;
mod standing;

pub use client::{Connection, ConversationError};
pub use protocol::{Answer, Order};
pub use server::{Asked, Board, Clients, ServeLimits, clients, serve};
pub use socket::{BindError, FILE_NAME, SocketFile, bind};
