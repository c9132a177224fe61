//! (room juju)
