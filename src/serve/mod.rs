//! The daemon's side towards the network.
