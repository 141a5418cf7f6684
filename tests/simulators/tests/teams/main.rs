//! The Teams simulator, from both of its sides: a tiny bot receives its activities, plain HTTP calls reach its connector.

#[cfg(test)]
mod clicks;
#[cfg(test)]
mod connector;
#[cfg(test)]
mod front_door;
#[cfg(test)]
mod inbound;
#[cfg(test)]
mod keep;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod world;
