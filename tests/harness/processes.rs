//! What /proc says of the processes of this machine: proc(5).

use std::fs;

/// Every pid there is.
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A field of /proc/<pid>/status, for instance `SigBlk`.
pub fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The letter of its state: `R`, `S`, `T` stopped, `Z` zombie; `None` when there is no such process.
pub fn state(pid: i32) -> Option<char> {
    status(pid, "State")?.chars().next()
}

/// Whether it is there and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The processes whose parent it is, zombies too.
pub fn children_of(pid: i32) -> Vec<i32> {
    let parent = pid.to_string();
    all().into_iter().filter(|p| status(*p, "PPid").as_deref() == Some(&parent)).collect()
}

/// Those of its children that have ended and are not reaped.
pub fn zombies_of(pid: i32) -> usize {
    children_of(pid).into_iter().filter(|p| state(*p) == Some('Z')).count()
}

/// The pid out here of the process that is `inside` in the pid namespace of `pid`.
pub fn in_namespace_of(pid: i32, inside: i32) -> Option<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = namespace(pid)?;
    let inside = inside.to_string();
    all().into_iter().find(|p| {
        let known_as = status(*p, "NSpid");
        known_as.is_some_and(|pids| pids.split_whitespace().last() == Some(&inside))
            && namespace(*p).as_ref() == Some(&wanted)
    })
}

/// The living processes that have this variable with this value in their environment.
pub fn with_variable(name: &str, value: &str) -> Vec<i32> {
    let wanted = format!("{name}={value}");
    let has_it = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    all().into_iter().filter(|pid| is_alive(*pid)).filter(has_it).collect()
}

/// The ids of its threads.
pub fn threads_of(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of a process");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Those of its threads that are named so.
pub fn threads_named(pid: i32, name: &str) -> Vec<i32> {
    let is_named = |thread: &i32| {
        let its = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"));
        its.is_ok_and(|its| its.trim_end() == name)
    };
    threads_of(pid).into_iter().filter(is_named).collect()
}

/// The threads of a stead that accept the endpoints' connections: the first from the start, all others from the first
/// answer on.
pub fn threads_that_accept(pid: i32) -> Vec<i32> {
    threads_named(pid, "stead-accept")
}

/// How many threads that accept there are in the end.
pub const ACCEPTING: usize = 8;

/// How many threads a stead has beside those that accept.
pub fn threads_that_do_not_accept(pid: i32) -> usize {
    threads_of(pid).len() - threads_that_accept(pid).len()
}
