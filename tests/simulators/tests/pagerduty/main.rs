//! The PagerDuty simulator from both of its sides: plain HTTP calls reach its REST and OAuth, a receiver takes its webhooks.

#[cfg(test)]
mod access;
#[cfg(test)]
mod acting;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod context;
#[cfg(test)]
mod delivering;
#[cfg(test)]
mod enqueuing;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod running;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod subscribing;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod world;
#[cfg(test)]
mod writing;
