//! Ten thousand attempts at servers that fail, of each kind of target, and what they leave behind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::monitor::attempt;
use super::options::Options;
use super::url::Url;
use super::{Class, Progress, Target};

/// What each server does with a connection.
const FAULTS: [fn(TcpStream) -> std::io::Result<()>; 4] = [
    // Says nothing until the client goes.
    |mut stream| stream.read_to_end(&mut Vec::new()).map(drop),
    // Closes at once.
    |_| Ok(()),
    // Answers what nobody understands.
    |mut stream| {
        stream.read_exact(&mut [0])?;
        stream.write_all(b"\xff\x00\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    },
    // Ends its own side alone.
    |mut stream| {
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    },
];

/// Starts a server, and gives its port.
fn serve(fault: fn(TcpStream) -> std::io::Result<()>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // In a thread each, because a client may be slow to go.
            std::thread::spawn(move || fault(stream));
        }
    });
    port
}

fn targets() -> Vec<Arc<Target>> {
    let mut targets = Vec::new();
    for port in FAULTS.map(serve) {
        for url in [
            format!("http://127.0.0.1:{port}/"),
            format!("meilisearch://127.0.0.1:{port}/"),
            format!("postgres://user@127.0.0.1:{port}/db"),
            format!("redis://127.0.0.1:{port}/0"),
            format!("amqp://user:rabbits-own@127.0.0.1:{port}/%2f"),
            format!("tls://127.0.0.1:{port}"),
        ] {
            let mut options = Options::default();
            let url = Url::parse(&url, &mut options).unwrap();
            targets.push(Arc::new(Target::parse(&url, &mut options).unwrap()));
        }
    }
    targets
}

/// How many descriptors and threads this program has, and its memory in KiB.
fn held() -> [usize; 3] {
    let entries = |path| std::fs::read_dir(path).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let memory = memory.trim().trim_end_matches(" kB").parse().unwrap();
    [entries("/proc/self/fd"), entries("/proc/self/task"), memory]
}

/// So many attempts at each target, one after the other at each, all targets side by side.
async fn ask(targets: &[Arc<Target>], attempts: usize) {
    let mut tasks = JoinSet::new();
    for target in targets {
        let target = Arc::clone(target);
        tasks.spawn(async move {
            for _ in 0..attempts {
                let asked = target.clone();
                let probe = async move { asked.probe(&Progress::new(true)).await };
                let failure = attempt(Duration::from_millis(5), probe).await.unwrap_err();
                assert_ne!(failure.class, Class::ProbePanicked, "{target:?}: {failure}");
            }
        });
    }
    tasks.join_all().await;
}

/// Set in the process that is the test's own.
const ALONE: &str = "STEAD_TEST_ALONE";

#[test]
#[expect(clippy::disallowed_methods, reason = "no reaper runs in this program")]
fn ten_thousand_failed_attempts_leave_no_task_descriptor_thread_or_memory_behind() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(fail_ten_thousand_times());
    }
    // What the other tests of this program hold meanwhile must not be counted.
    let name = std::thread::current().name().unwrap().to_owned();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn fail_ten_thousand_times() {
    let targets = targets();
    ask(&targets, 20).await;
    let before = held();
    ask(&targets, 10_000 / targets.len()).await;
    drop(targets);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // The servers' threads and sockets go when they notice.
    let gone = |held: [usize; 3]| held[0] < before[0] + 50 && held[1] < before[1] + 50;
    for _ in 0..2000 {
        if gone(held()) && tasks() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(gone(held()), "{before:?}, then {:?}", held());
    assert_eq!(tasks(), 0);
    assert!(held()[2] < before[2] + 16 * 1024, "{before:?}, then {:?}", held());
}
