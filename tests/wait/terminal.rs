//! `stead wait` on a terminal: a line a target that is drawn again in its place.

use super::{Later, wait};
use crate::harness::terminal::Terminal;
use crate::harness::{LIMIT, sys, until};

/// What a terminal shows that was sent this, for the few sequences that stead uses.
fn screen(sent: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![String::new()], 0, 0);
    let mut rest = sent.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                lines.resize(lines.len().max(row + 1), String::new());
            }
            '\x1b' => {
                assert_eq!(rest.next(), Some('['), "a sequence of another kind: {sent:?}");
                let mut number = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                match rest.next() {
                    Some('A') => row -= number.parse::<usize>().expect("a number of lines"),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    other => panic!("an unknown sequence {other:?}: {sent:?}"),
                }
            }
            c => {
                lines[row].truncate(column);
                lines[row].push(c);
                column += 1;
            }
        }
    }
    lines
}

/// Waits until the screen's first lines begin with these and contain what follows.
fn wait_for_screen(terminal: &Terminal, wanted: &[(&str, &str)]) {
    let fits = |line: &String, (start, part): &(&str, &str)| {
        line.starts_with(start) && line.contains(part)
    };
    let came = until(LIMIT, || {
        let lines = screen(&terminal.seen());
        lines.len() >= wanted.len() && lines.iter().zip(wanted).all(|(line, want)| fits(line, want))
    });
    assert!(came, "not {wanted:?} but {:#?}", screen(&terminal.seen()));
}

#[test]
fn each_target_has_a_line_with_the_time_waited_which_ends_as_up() {
    let (first, second) = (Later::new(), Later::new());
    let (a, b) = (first.url(), second.url());
    let terminal = Terminal::open();
    let modes = sys::modes(terminal.programs()).expect("the modes");
    let mut stead = wait([&a, &b, "--", "echo", "started"]).on_terminal(&terminal).start();
    wait_for_screen(&terminal, &[(&a, "waiting for 1 s: connect_refused at connect"), (&b, "")]);
    let _first = first.up();
    wait_for_screen(&terminal, &[(&a, "up after "), (&b, "waiting for ")]);
    let _second = second.up();
    assert_eq!(stead.wait_exit(LIMIT), 0);
    wait_for_screen(&terminal, &[(&a, "up after "), (&b, "up after "), ("started", "")]);
    assert_eq!(screen(&terminal.seen()).len(), 4, "{:#?}", screen(&terminal.seen()));
    assert!(!terminal.seen().contains('{'), "{}", terminal.seen());
    assert_eq!(sys::modes(terminal.programs()).expect("the modes"), modes);
}

#[test]
fn ctrl_c_ends_the_wait_with_130() {
    let later = Later::new();
    let terminal = Terminal::open();
    let mut stead = wait([&later.url(), "--", "echo", "started"]).on_terminal(&terminal).start();
    terminal.wait_for("waiting for", LIMIT);
    terminal.type_text("\x03");
    assert_eq!(stead.wait_exit(LIMIT), 130);
    assert!(!terminal.seen().contains("started"), "{}", terminal.seen());
}

#[test]
fn a_terminal_that_was_stopped_by_ctrl_s_does_not_hold_the_end_up() {
    let later = Later::new();
    let terminal = Terminal::open();
    let mut stead = wait([&later.url(), "--timeout", "1h"]).on_terminal(&terminal).start();
    terminal.wait_for("waiting for 0 s", LIMIT);
    terminal.type_text("\x13");
    // Long enough for the next drawing to be stuck, and right also where it is not.
    let seen = terminal.seen();
    let _ = until(std::time::Duration::from_secs(2), || terminal.seen() != seen);
    stead.signal(libc::SIGTERM);
    assert_eq!(stead.wait_exit(LIMIT), 143);
    terminal.type_text("\x11");
}

#[test]
fn when_the_time_is_over_the_line_stands_below_the_targets() {
    let later = Later::new();
    let terminal = Terminal::open();
    let mut stead = wait([&later.url(), "--timeout", "1s"]).on_terminal(&terminal).start();
    assert_eq!(stead.wait_exit(LIMIT), 1);
    let line = format!("stead: not up after 1s: {} (connect_refused at connect)", later.url());
    wait_for_screen(&terminal, &[(&later.url(), "waiting for "), (&line, "")]);
}

#[test]
fn no_line_is_longer_or_further_down_than_the_terminal() {
    let terminal = Terminal::open();
    sys::resize(terminal.programs(), 4, 30).expect("another size");
    let all: Vec<Later> = (0..6).map(|_| Later::new()).collect();
    let urls: Vec<String> = all.iter().map(Later::url).collect();
    let up = all[5].up();
    let stead = wait(&urls).on_terminal(&terminal).start();
    wait_for_screen(&terminal, &[(&urls[0], ""), (&urls[1], ""), ("and 4 more", "")]);
    let widest = screen(&terminal.seen()).iter().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest < 30), "{}", terminal.seen());
    drop((up, stead));
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_the_log() {
    let later = Later::new();
    for (name, value) in [("TERM", "dumb"), ("STEAD_LOG_FORMAT", "json")] {
        let terminal = Terminal::open();
        let stead = wait([later.url()]).env(name, value).on_terminal(&terminal).start();
        terminal.wait_for("waiting", LIMIT);
        terminal.wait_for("check changed", LIMIT);
        assert!(!terminal.seen().contains("\x1b[K"), "{}", terminal.seen());
        drop(stead);
    }
}
