//! The crate from outside: bodies as PagerDuty sends them, and a PagerDuty that answers as it is told.

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod parse;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod region;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod server;
#[cfg(test)]
mod signature;
