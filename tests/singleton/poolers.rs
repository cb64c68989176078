//! What stands before a database: only what keeps its sessions apart can hold a lock.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::journal::Journal;
use super::{replica, stands_by};
use crate::harness::LIMIT;
use crate::harness::servers::postgres::{PASSWORD, PgBouncer, Postgres};

/// How many locks sessions hold.
const HELD: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";

#[test]
fn a_pool_of_transactions_is_refused_in_one_line_before_the_command_is_started() {
    let server = Postgres::start("");
    for mode in ["transaction", "statement", "transaction\nserver_round_robin = 1"] {
        let pooler = PgBouncer::in_front_of(&server, &format!("pool_mode = {mode}"));
        let journal = Journal::new();
        let mut stead = replica(&pooler.url(), &journal, "one").start();
        assert_eq!(stead.wait_exit(LIMIT), 64, "{mode}");
        let said = stead.stderr();
        let lines: Vec<&String> = said.iter().filter(|line| line.starts_with("stead: ")).collect();
        assert!(matches!(lines[..], [line] if line.contains("--singleton: a pooler")), "{said:?}");
        assert!(journal.holders().is_empty());
    }
}

#[test]
fn a_pool_of_transactions_is_found_out_while_others_use_it() {
    let server = Postgres::start("");
    for round_robin in [0, 1] {
        let settings = format!("server_round_robin = {round_robin}");
        let pooler = PgBouncer::in_front_of(&server, &settings);
        let _busy = [1, 2, 3].map(|_| pooler.busy_client());
        for attempt in 0..4 {
            let journal = Journal::new();
            let mut stead = replica(&pooler.url(), &journal, "one").start();
            assert_eq!(stead.wait_exit(LIMIT), 64, "{settings}, attempt {attempt}");
            assert!(journal.holders().is_empty());
        }
    }
    assert_eq!(server.query(HELD), "0");
}

/// Once, another client has the pool's session while stead's second connection begins a transaction, and gives it back
/// before the first one asks whose session it has: from then on each of the two finds what it had.
#[test]
fn a_pool_of_transactions_is_found_out_though_another_client_took_a_session_for_a_moment() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "");
    let mut client = pooler.client();
    client.run("SELECT 1");
    let mut asks = ["BEGIN", "COMMIT"].into_iter();
    let relay = Relay::to(pooler.port, b"BEGIN\0", move || {
        asks.next().into_iter().for_each(|ask| client.run(ask))
    });
    let journal = Journal::new();
    let url = format!("postgres://app:{PASSWORD}@127.0.0.1:{}/shop", relay.port);
    let mut stead = replica(&url, &journal, "one").start();
    assert_eq!(stead.wait_exit(LIMIT), 64);
    assert!(journal.holders().is_empty());
    // Nor has a session of the pool, which others use after stead, been left with it, or with stead's settings.
    assert_eq!(server.query(HELD), "0");
    let mut holding = Vec::new();
    for mut client in [pooler.client(), pooler.client(), pooler.client()] {
        assert_eq!(pooler.query("SHOW statement_timeout"), "0");
        // The next question is another session's.
        client.run("BEGIN");
        holding.push(client);
    }
}

#[test]
fn a_pool_of_sessions_holds_a_lock() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "pool_mode = session");
    let journal = Journal::new();
    let mut first = replica(&pooler.url(), &journal, "first").start();
    journal.wait_for("first");
    let second = replica(&pooler.url(), &journal, "second").start();
    stands_by(&second);
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait_exit(LIMIT), 0);
    journal.wait_for("second");
    assert_eq!(journal.holders(), ["first", "second"]);
}

#[test]
fn on_is_the_database_itself_where_the_app_knows_a_way_around_its_pooler() {
    let server = Postgres::start("");
    let pooler = PgBouncer::in_front_of(&server, "");
    let journal = Journal::new();
    let stead = replica("on", &journal, "one")
        .env("STEAD_DISCOVER", "off")
        .env("DATABASE_URL", pooler.url())
        .env("DIRECT_URL", server.url("postgres"));
    let _running = stead.start();
    journal.wait_for("one");
    let mut without = replica("on", &journal, "two").env("DATABASE_URL", pooler.url()).start();
    assert_eq!(without.wait_exit(LIMIT), 64);
}

/// What stands between stead and a server, and knows when a question goes by.
struct Relay {
    port: u16,
}

impl Relay {
    /// Calls `then` before each message of a client's from the first one on that holds these bytes.
    fn to(server: u16, sign: &'static [u8], then: impl FnMut() + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let then = Arc::new(Mutex::new(then));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client");
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).expect("the server");
                let back =
                    [&server, &client].map(|stream| stream.try_clone().expect("a descriptor"));
                let then = Arc::clone(&then);
                thread::spawn(move || {
                    let mut is_due = false;
                    pass(client, server, |message| {
                        is_due |= message.windows(sign.len()).any(|part| part == sign);
                        if is_due {
                            then.lock().expect("nobody has failed")();
                        }
                    });
                });
                let [server, client] = back;
                thread::spawn(move || pass(server, client, |_| {}));
            }
        });
        Self { port }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut message = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut message) {
        seen(&message[..length]);
        if to.write_all(&message[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
