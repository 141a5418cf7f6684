//! The crate from outside: bodies as PagerDuty sends them, a PagerDuty that answers as it is told, and the simulator.

#[cfg(test)]
mod context;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod directory;
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
mod service_address;
#[cfg(test)]
mod signature;
