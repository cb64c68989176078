//! What a datagram of sd_notify(3) says. Pure: bytes go in, assignments come out; what stead does not know is passed
//! over, as the protocol wants it.

use std::time::Duration;

use crate::sys::process::Pid;

/// A whole message.
#[derive(Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// The descriptor that came with it is to be closed once all that was sent before is taken in.
    Barrier,
    /// Assignments, in their order.
    Assignments(Vec<Assignment<'a>>),
    /// Nothing that counts: no text, or a barrier among other assignments.
    Nothing,
}

/// An assignment that means something to stead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Assignment<'a> {
    /// `READY=1`
    Ready,
    /// `RELOADING=1`
    Reloading,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=`
    Status(&'a str),
    /// `WATCHDOG=1`
    Alive,
    /// `WATCHDOG=trigger`
    Trigger,
    /// `WATCHDOG_USEC=`
    Period(Duration),
    /// `EXTEND_TIMEOUT_USEC=`
    Extend(Duration),
    /// `MAINPID=`
    MainPid(Pid),
    /// `ERRNO=`, but for 0.
    Errno(i32),
}

/// What a service manager around stead is told too. Not `MAINPID=`, for to that one stead is the main process;
/// not what comes with descriptors, which stead keeps from nobody and passes to nobody.
const RELAYED: [&str; 11] = [
    "READY",
    "RELOADING",
    "STOPPING",
    "STATUS",
    "MONOTONIC_USEC",
    "WATCHDOG",
    "WATCHDOG_USEC",
    "EXTEND_TIMEOUT_USEC",
    "ERRNO",
    "BUSERROR",
    "EXIT_STATUS",
];

/// Reads a message. One that is not UTF-8 or holds a NUL says nothing, as with systemd.
pub fn parse(bytes: &[u8]) -> Message<'_> {
    let Some(text) = text(bytes) else { return Message::Nothing };
    let lines: Vec<&str> = lines(text).collect();
    if lines.contains(&"BARRIER=1") {
        return if lines.len() == 1 { Message::Barrier } else { Message::Nothing };
    }
    Message::Assignments(lines.into_iter().filter_map(assignment).collect())
}

/// The part of a message that is for a service manager around stead; empty where nothing is.
pub fn relayed(bytes: &[u8]) -> String {
    let is_relayed =
        |line: &&str| line.split_once('=').is_some_and(|(name, _)| RELAYED.contains(&name));
    let kept: Vec<&str> = lines(text(bytes).unwrap_or_default()).filter(is_relayed).collect();
    kept.join("\n")
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}

fn assignment(line: &str) -> Option<Assignment<'_>> {
    let (name, value) = line.split_once('=')?;
    Some(match (name, value) {
        ("READY", "1") => Assignment::Ready,
        ("RELOADING", "1") => Assignment::Reloading,
        ("STOPPING", "1") => Assignment::Stopping,
        ("STATUS", status) => Assignment::Status(status),
        ("WATCHDOG", "1") => Assignment::Alive,
        ("WATCHDOG", "trigger") => Assignment::Trigger,
        ("WATCHDOG_USEC", _) => Assignment::Period(micros(value)?),
        ("EXTEND_TIMEOUT_USEC", _) => Assignment::Extend(micros(value)?),
        ("MAINPID", _) => Assignment::MainPid(Pid::new(positive(value)?)),
        ("ERRNO", _) => Assignment::Errno(positive(value)?),
        _ => return None,
    })
}

fn micros(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_micros)
}

fn positive(value: &str) -> Option<i32> {
    value.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Option<Assignment<'_>> {
        match parse(line.as_bytes()) {
            Message::Assignments(all) => {
                assert!(all.len() < 2, "{all:?}");
                all.first().copied()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_assignment_is_read_as_documented() {
        for (line, expected) in [
            ("READY=1", Some(Assignment::Ready)),
            ("RELOADING=1", Some(Assignment::Reloading)),
            ("STOPPING=1", Some(Assignment::Stopping)),
            ("STATUS=a = b", Some(Assignment::Status("a = b"))),
            ("STATUS=", Some(Assignment::Status(""))),
            ("WATCHDOG=1", Some(Assignment::Alive)),
            ("WATCHDOG=trigger", Some(Assignment::Trigger)),
            ("WATCHDOG_USEC=1500000", Some(Assignment::Period(Duration::from_millis(1500)))),
            ("EXTEND_TIMEOUT_USEC=1", Some(Assignment::Extend(Duration::from_micros(1)))),
            ("MAINPID=17", Some(Assignment::MainPid(Pid::new(17)))),
            ("ERRNO=2", Some(Assignment::Errno(2))),
        ] {
            assert_eq!(one(line), expected, "{line}");
        }
        for line in [
            "READY=0",
            "READY=",
            "READY",
            "ready=1",
            " READY=1",
            "READY=1 ",
            "WATCHDOG=0",
            "WATCHDOG_USEC=-1",
            "WATCHDOG_USEC=99999999999999999999",
            "EXTEND_TIMEOUT_USEC=soon",
            "MAINPID=0",
            "MAINPID=-1",
            "MAINPID=1x",
            "ERRNO=0",
            "BARRIER=0",
            "FDSTORE=1",
            "X_OWN=1",
            "MONOTONIC_USEC=5",
            "=",
            "",
        ] {
            assert_eq!(one(line), None, "{line:?}");
        }
    }

    #[test]
    fn several_assignments_keep_their_order_and_unknown_ones_are_passed_over() {
        let message = parse(b"READY=1\nSTATUS=serving\n\nX_OWN=1\nWATCHDOG=1\n");
        let expected = [Assignment::Ready, Assignment::Status("serving"), Assignment::Alive];
        assert_eq!(message, Message::Assignments(expected.to_vec()));
    }

    #[test]
    fn a_barrier_is_alone_or_the_whole_message_is_nothing() {
        assert_eq!(parse(b"BARRIER=1"), Message::Barrier);
        assert_eq!(parse(b"BARRIER=1\n"), Message::Barrier);
        for mixed in ["BARRIER=1\nREADY=1", "READY=1\nBARRIER=1", "BARRIER=1\nBARRIER=1"] {
            assert_eq!(parse(mixed.as_bytes()), Message::Nothing, "{mixed}");
        }
    }

    #[test]
    fn what_is_no_text_says_nothing() {
        for bytes in [&b"READY=1\nSTATUS=\xff"[..], b"READY=1\0", b"READY=1\nX=\0"] {
            assert_eq!(parse(bytes), Message::Nothing, "{bytes:?}");
            assert_eq!(relayed(bytes), "");
        }
    }

    #[test]
    fn a_manager_around_stead_is_told_all_but_what_is_between_stead_and_its_child() {
        let message = b"READY=1\nMAINPID=17\nSTATUS=x\nRELOADING=1\nMONOTONIC_USEC=5\nFDSTORE=1\nX_OWN=1\nEXTEND_TIMEOUT_USEC=9";
        let expected = "READY=1\nSTATUS=x\nRELOADING=1\nMONOTONIC_USEC=5\nEXTEND_TIMEOUT_USEC=9";
        assert_eq!(relayed(message), expected);
        assert_eq!(relayed(b"MAINPID=17"), "");
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let said = parse(&bytes);
            prop_assert!(bytes.contains(&b'=') || !matches!(said, Message::Assignments(all) if !all.is_empty()));
        }

        #[test]
        fn any_value_of_a_known_name_is_read_or_passed_over(
            name in proptest::sample::select(&RELAYED[..]), value in "[^\n\0]{0,30}"
        ) {
            let line = format!("{name}={value}");
            prop_assert_eq!(relayed(line.as_bytes()), line.clone());
            let Message::Assignments(all) = parse(line.as_bytes()) else { panic!("{line:?}") };
            prop_assert!(all.len() < 2);
        }
    }
}
