//! An app whose connections a test has in its hands: both ends of each are this program's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::LIMIT;

/// A port that is listened on.
pub struct App {
    listener: TcpListener,
}

/// A connection: the client's end of it, and the app's.
pub struct Connection {
    pub client: TcpStream,
    pub served: TcpStream,
}

impl App {
    /// Listens on a free port of this address.
    pub fn on(address: &str) -> Self {
        Self { listener: TcpListener::bind((address, 0)).expect("a listener") }
    }

    /// Listens on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::on("127.0.0.1")
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// The port, for a command line.
    pub fn port_text(&self) -> String {
        self.port().to_string()
    }

    /// A connection that nobody has accepted.
    pub fn knock(&self) -> TcpStream {
        self.knock_at("127.0.0.1")
    }

    /// The same, made to this address.
    pub fn knock_at(&self, address: &str) -> TcpStream {
        let address = SocketAddr::new(address.parse().expect("an address"), self.port());
        let client = TcpStream::connect(address).expect("a connection");
        client.set_nodelay(true).expect("no delay");
        client.set_read_timeout(Some(LIMIT)).expect("a limit");
        client
    }

    /// The app's end of the oldest connection that was not accepted yet.
    pub fn accept(&self) -> TcpStream {
        let served = self.listener.accept().expect("a connection").0;
        served.set_nodelay(true).expect("no delay");
        served.set_read_timeout(Some(LIMIT)).expect("a limit");
        served
    }

    /// A connection of which nothing was used yet.
    pub fn connect(&self) -> Connection {
        self.connect_at("127.0.0.1")
    }

    /// The same, made to this address.
    pub fn connect_at(&self, address: &str) -> Connection {
        let client = self.knock_at(address);
        Connection { client, served: self.accept() }
    }
}

impl Connection {
    /// A request, which the app has read.
    pub fn ask(&mut self) {
        self.client.write_all(b"request").expect("room");
        self.served.read_exact(&mut [0; 7]).expect("the request");
    }

    /// The app's answer, which the client has read.
    pub fn answer(&mut self) {
        self.served.write_all(b"answer").expect("room");
        self.client.read_exact(&mut [0; 6]).expect("the answer");
    }
}
