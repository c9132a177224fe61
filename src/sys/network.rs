//! What the kernel says about addresses.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The address that a connection to `target` leaves from; nothing is sent.
pub fn source_towards(target: IpAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = match target {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // The port is any: a datagram socket only looks the way up.
    socket.connect((target, 9))?;
    socket.local_addr().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_ourselves_we_leave_from_ourselves() {
        let source = source_towards("127.0.0.1".parse().unwrap()).unwrap();
        assert!(source.is_loopback());
    }
}
