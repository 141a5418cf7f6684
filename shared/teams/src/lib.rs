//! Teams' wire, in both directions: who may talk to the bot, what they said, how to answer, and how to post.
//!
//! Nothing here decides what an incident means; it only knows the Bot Connector's protocol. Two rules of that protocol
//! shape everything: the token that comes in does not cover the body, so the tenant and the address in it have to be
//! checked against our own lists; and the token that goes out would be sent wherever `serviceUrl` points.

pub mod activity;
pub mod auth;
pub mod connector;
pub mod reply;

#[cfg(test)]
mod support;
mod wire;
