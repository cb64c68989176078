//! Both ways to find connections, held against real ones and against each other.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A listener with one accepted connection, and the client's end of it.
fn pair(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let accepted = listener.accept().unwrap().0;
    (listener, accepted, client)
}

fn all_with_activity(port: u16) -> Vec<Connection> {
    let mut found = Vec::new();
    with_activity(port, |connection| found.push(connection)).unwrap();
    found
}

#[test]
fn both_families_are_found_by_both_ways() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (listener, _accepted, client) = pair(address);
        let port = listener.local_addr().unwrap().port();
        let local = client.local_addr().unwrap();
        let [found] = all_with_activity(port).try_into().unwrap();
        assert_eq!(found.peer, local, "{address}");
        assert_ne!(found.inode, 0);
        let [line] = listed(port).unwrap().try_into().unwrap();
        assert_eq!((line.peer, line.inode), (found.peer, found.inode));
        assert_eq!(own_connections_to(port), [local]);
    }
}

#[test]
fn ipv4_on_a_socket_of_both_families_is_ipv4() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let peers = [
        all_with_activity(port).iter().map(|found| found.peer).collect::<Vec<_>>(),
        listed(port).unwrap().iter().map(|line| line.peer).collect(),
        own_connections_to(port),
    ];
    for peers in peers {
        assert_eq!(peers, [client.local_addr().unwrap()]);
    }
}

#[test]
fn what_moves_is_told() {
    let (listener, mut accepted, mut client) = pair("127.0.0.1:0");
    let port = listener.local_addr().unwrap().port();
    let look = || all_with_activity(port).first().copied().unwrap();
    let before = look();
    assert_eq!((before.unread, before.undelivered), (0, 0));
    let activity = before.activity.unwrap();
    assert_eq!((activity.bytes_received, activity.data_segments_sent), (0, 0));
    client.write_all(b"request").unwrap();
    let asked = look();
    assert_eq!((asked.unread, asked.activity.unwrap().bytes_received), (7, 7));
    accepted.read_exact(&mut [0; 7]).unwrap();
    accepted.write_all(b"answer").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    let answered = look();
    assert_eq!((answered.unread, answered.activity.unwrap().data_segments_sent), (0, 1));
}

#[test]
fn what_is_not_established_or_another_ports_is_not_found() {
    let (listener, accepted, client) = pair("127.0.0.1:0");
    let port = listener.local_addr().unwrap().port();
    let others = client.local_addr().unwrap().port();
    assert_eq!(all_with_activity(others).len(), 1, "the client's own end");
    drop(client);
    let found = all_with_activity(port);
    assert!(found.iter().all(|connection| !connection.is_established), "{found:?}");
    assert!(listed(port).unwrap().iter().all(|line| !line.is_established));
    drop((accepted, listener));
}

#[test]
fn a_line_is_read_field_by_field() {
    let line = "   3: 0100007F:1F90 0200000A:C350 01 0000000A:00000000 00:00000000 00000000  1000        0 4711 \
                1 0000000000000000 20 4 31 10 -1";
    let found = listed::listed_in(line, 8080).unwrap();
    assert_eq!(found.peer, "10.0.0.2:50000".parse().unwrap());
    assert_eq!((found.inode, found.undelivered), (4711, 10));
    assert!(found.is_established && found.is_interactive);
    assert_eq!(listed::listed_in(line, 8081), None);
    let other = line.replace(" 31 ", " 30 ");
    assert!(!listed::listed_in(&other, 8080).unwrap().is_interactive);
    for wrong in
        ["", "sl local_address rem_address st", "3: 0100007F:1F90", &line.replace(" 01 ", " 06 ")]
    {
        assert_eq!(listed::listed_in(wrong, 8080), None, "{wrong}");
    }
}
