//! Operations that overlap, on two replicas: what they answered must be what they would have answered one after the other,
//! in an order in which whatever had ended before another began comes first.

mod checker;
mod model;
mod record;
mod rounds;
