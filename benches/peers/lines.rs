//! The child's output as JSON, beside `cat`, which is the limit, and what people put behind a pipe for it: bytes and
//! lines a second, processor time, the way of a lone line, and memory.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Rounds;
use crate::child::Mode;
use crate::report::{Goal, Section, Table, value_of};
use crate::samples::{Samples, decimals, ms, there_and_back, times, us};
use crate::sys;
use crate::wrapper::{Running, Wrappers, bare, find};

/// What the bench writes as a child.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Lines {
    /// Text, 100 bytes a line with its newline.
    Plain,
    /// One JSON object a line, 300 bytes.
    Json,
    /// Text, 10 KB a line.
    Long,
    /// A line with the time in it, a millisecond after the one before.
    Lone,
    /// One line of text, and at SIGUSR1 lines of a megabyte of NULs.
    Nuls,
}

/// How large a write(2) of the child is, about: what a pipe holds.
const BLOCK: usize = 64 * 1024;
/// A long line is not split up to here.
const LONGEST: usize = 1024 * 1024;

impl Lines {
    pub const ALL: [Lines; 5] = [Lines::Plain, Lines::Json, Lines::Long, Lines::Lone, Lines::Nuls];

    pub fn name(self) -> &'static str {
        match self {
            Lines::Plain => "plain",
            Lines::Json => "json",
            Lines::Long => "long",
            Lines::Lone => "lone",
            Lines::Nuls => "nuls",
        }
    }

    /// One line; those of a time or of NULs are made where they are written.
    fn line(self) -> Vec<u8> {
        let (text, length) = match self {
            Lines::Json => (
                r#"{"level":30,"time":1764000000000,"pid":7,"hostname":"api-1","req":{"id":"req-1a2b","method":"GET","url":"/api/v1/orders/8812?expand=items","remoteAddress":"10.0.3.17"},"res":{"statusCode":200},"responseTime":12.083,"msg":"request completed"#,
                300,
            ),
            Lines::Long => ("GET /api/v1/orders/8812 200 12 ms user=4711", 10_000),
            _ => ("GET /api/v1/orders/8812 200 12 ms user=4711", 100),
        };
        let end = if self == Lines::Json { "\"}\n" } else { "\n" };
        let mut line = text.as_bytes().to_vec();
        line.resize(length - end.len(), b'.');
        line.extend_from_slice(end.as_bytes());
        line
    }

    /// Writes so many of them, then stays until stdin ends.
    pub fn write(self, count: usize) -> io::Result<()> {
        let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        match self {
            Lines::Lone => write_lone(&mut stdout, count)?,
            Lines::Nuls => write_nuls(&mut stdout, count)?,
            _ => {
                let line = self.line();
                let at_once = (BLOCK / line.len()).max(1);
                let block = line.repeat(at_once);
                for _ in 0..count / at_once {
                    stdout.write_all(&block)?;
                }
                stdout.write_all(&line.repeat(count % at_once))?;
            }
        }
        drop(stdout);
        io::stdin().read_to_end(&mut Vec::new()).map(drop)
    }
}

fn write_lone(to: &mut File, count: usize) -> io::Result<()> {
    for _ in 0..count {
        std::thread::sleep(Duration::from_millis(1));
        to.write_all(format!("request completed at={}.\n", sys::now()).as_bytes())?;
    }
    Ok(())
}

fn write_nuls(to: &mut File, count: usize) -> io::Result<()> {
    sys::block_usr1();
    to.write_all(b"ready\n")?;
    sys::next_usr1();
    let mut line = vec![0; LONGEST];
    line.push(b'\n');
    (0..count).try_for_each(|_| to.write_all(&line))
}

/// What lines go through.
struct Filter {
    name: &'static str,
    /// Nothing: it is stead itself, which starts the writer.
    command: Option<Command>,
    /// How much slower than the others it is known to be: so much less goes through it.
    share: usize,
    /// Its lines come out again; multilog's go to files.
    answers: bool,
}

/// Lines on their way: who is to be measured, who writes, and where they come out.
struct Flow {
    filter: Running,
    _writer: Option<Running>,
    output: Option<PipeReader>,
    /// The standard input of stead's child, which stays until it ends.
    held: Option<io::PipeWriter>,
}

impl Filter {
    fn all(wrappers: &Wrappers) -> io::Result<[Filter; 5]> {
        let behind = |name, program: &str, arguments: &[&str]| {
            let mut command = bare(find(program)?);
            command.args(arguments);
            Ok::<_, io::Error>(Filter { name, command: Some(command), share: 1, answers: true })
        };
        let folder = wrappers.scratch("multilog");
        let folder = folder.to_string_lossy();
        Ok([
            behind("`cat`", "cat", &[])?,
            Filter { name: "stead, `STEAD_LOGS=json`", command: None, share: 1, answers: true },
            Filter {
                share: 16,
                ..behind("`jq -cR '{message: .}'`", "jq", &["-cR", "{message: .}"])?
            },
            Filter {
                share: 4,
                ..behind("`s6-log t 1` (a time before the line)", "s6-log", &["t", "1"])?
            },
            Filter {
                share: 4,
                answers: false,
                ..behind("`multilog t` (into files)", "multilog", &["t", "s16777215", &folder])?
            },
        ])
    }

    /// Starts the writer of so many lines and what they go through.
    fn start(&mut self, wrappers: &Wrappers, lines: Lines, count: usize) -> io::Result<Flow> {
        let count = count.to_string();
        let mode = [Mode::LINES, lines.name(), &count];
        let (output, to) = io::pipe()?;
        let Some(command) = &mut self.command else {
            let (stdin, held) = io::pipe()?;
            let mut command = wrappers.stead_off.around_child(&mode)?;
            command
                .env("STEAD_LOGS", "json")
                .env("SERVICE_NAME", "api")
                .env("INSTANCE_ID", "api-1");
            let filter = Running(command.stdin(stdin).stdout(to).spawn()?);
            return Ok(Flow { filter, _writer: None, output: Some(output), held: Some(held) });
        };
        let (from, stdout) = io::pipe()?;
        command.stdin(from);
        if self.answers {
            command.stdout(to);
        } else {
            drop(to);
        }
        let filter = Running(command.spawn()?);
        // The command keeps the descriptors that it was given; an end that stays open here is never an end.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let writer = Running(wrappers.direct.around_child(&mode)?.stdout(stdout).spawn()?);
        let output = self.answers.then_some(output);
        Ok(Flow { filter, _writer: Some(writer), output, held: None })
    }
}

impl Flow {
    /// Reads until nothing comes any more; of stead, whose child stays, until all lines came out, each as long as the first.
    fn read_all(&mut self, count: usize) -> io::Result<()> {
        let ends = self.held.is_none();
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let mut buffer = vec![0; BLOCK];
        let (mut seen, mut length) = (0, None);
        loop {
            let read = output.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            if length.is_none() {
                let end = buffer[..read].iter().position(|byte| *byte == b'\n');
                length = end.map(|end| seen + end + 1);
            }
            seen += read;
            if !ends && length.is_some_and(|length| seen >= length * count) {
                return Ok(());
            }
        }
    }

    /// The processor time that the filter alone has used, at its end where it ends by itself.
    fn cpu(self, ends: bool) -> io::Result<u64> {
        let pid = self.filter.pid();
        if !ends {
            return sys::cpu_time(pid);
        }
        let ended = sys::wait_with_usage(pid)?;
        if !ended.status.success() {
            return Err(io::Error::other(format!("a filter ended with {}", ended.status)));
        }
        Ok(ended.cpu)
    }
}

/// What one filter's rounds with one kind of lines gave, in nanoseconds a line.
#[derive(Default)]
struct Speed {
    wall: Samples,
    cpu: Samples,
}

pub fn measure(wrappers: &Wrappers, rounds: &Rounds) -> io::Result<Section> {
    let mut filters = Filter::all(wrappers)?;
    let mut section = Section::default();
    for lines in [Lines::Plain, Lines::Json, Lines::Long] {
        let speeds = load(wrappers, &mut filters, lines, rounds)?;
        section.tables.push(speed_table(&filters, lines, &speeds, rounds));
        let of = |other: &Speed| other.wall.median() / speeds[1].wall.median();
        let goal = |what, to_reach, measured| Goal { what, to_reach, measured };
        match lines {
            Lines::Plain => section.goals.extend([
                goal(
                    "plain lines as JSON, bytes a second of `cat`'s",
                    "at least 1/3",
                    times(of(&speeds[0]), 1.0),
                ),
                goal(
                    "plain lines as JSON, lines a second of jq's",
                    "at least 20x",
                    times(of(&speeds[2]), 1.0),
                ),
            ]),
            Lines::Json => section.goals.push(goal(
                "lines that are JSON, bytes a second of `cat`'s",
                "at least 1/2",
                times(of(&speeds[0]), 1.0),
            )),
            _ => {}
        }
    }
    lone(wrappers, &mut filters, rounds, &mut section)?;
    section.goals.push(Goal {
        what: "memory above idle while megabytes of NULs go through",
        to_reach: "at most 4 MiB",
        measured: format!("{} MiB", decimals(growth_with_nuls(wrappers)? as f64 / 1024.0)),
    });
    Ok(section)
}

fn load(
    wrappers: &Wrappers,
    filters: &mut [Filter],
    lines: Lines,
    rounds: &Rounds,
) -> io::Result<Vec<Speed>> {
    let mut speeds: Vec<Speed> = filters.iter().map(|_| Speed::default()).collect();
    for at in there_and_back(rounds.loads, filters.len()) {
        let filter = &mut filters[at];
        let count = rounds.line_megabytes * 1_000_000 / lines.line().len() / filter.share;
        let before = sys::now();
        let ends = filter.command.is_some();
        let mut flow = filter.start(wrappers, lines, count)?;
        flow.read_all(count)?;
        if !filter.answers {
            // It has ended once all is in its files; its usage is kept until it is waited for.
            while !sys::is_zombie(flow.filter.pid())? {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        speeds[at].wall.add((sys::now() - before) / count as u64);
        speeds[at].cpu.add(flow.cpu(ends)? / count as u64);
    }
    Ok(speeds)
}

fn speed_table(filters: &[Filter], lines: Lines, speeds: &[Speed], rounds: &Rounds) -> Table {
    let bytes = lines.line().len();
    let title = match lines {
        Lines::Plain => "Lines as JSON: text of 100 bytes",
        Lines::Json => "Lines as JSON: objects of 300 bytes",
        _ => "Lines as JSON: text of 10 KB",
    };
    let note = format!(
        "From a writer through a pipe, the program and a pipe to a reader, all on the machine's processors; medians of {} \
         rounds of {} MB (jq 1/16, s6-log and multilog 1/4), taking turns. Bytes are those of the input; CPU is the program's alone.",
        rounds.loads, rounds.line_megabytes,
    );
    let head = ["through", "MB/s", "lines/s", "of cat's", "CPU ns a line", "of cat's CPU"];
    let mut table = Table::new(title, &note, &head);
    for (filter, speed) in filters.iter().zip(speeds) {
        let (wall, cpu) = (speed.wall.median().max(1.0), speed.cpu.median());
        table.row(
            filter.name,
            [
                decimals(bytes as f64 * 1e3 / wall),
                format!("{:.0}", 1e9 / wall),
                times(speeds[0].wall.median(), wall),
                decimals(cpu),
                times(cpu, speeds[0].cpu.median()),
            ],
        );
    }
    table
}

/// The way of a line that comes alone, from the child's write(2) to the reader.
fn lone(
    wrappers: &Wrappers,
    filters: &mut [Filter],
    rounds: &Rounds,
    section: &mut Section,
) -> io::Result<()> {
    let note = format!(
        "{} lines, a millisecond apart, from just before the write to just after the read. jq keeps lines back when it writes to a pipe.",
        rounds.lone_lines
    );
    let mut table =
        Table::new("A lone line", &note, &["through", "µs: p50", "p99", "max", "of cat's p50"]);
    let mut cat = 0.0;
    for filter in filters.iter_mut().filter(|it| it.answers && !it.name.contains("jq")) {
        let mut flow = filter.start(wrappers, Lines::Lone, rounds.lone_lines)?;
        let mut ways = Samples::default();
        let mut output = io::BufReader::new(flow.output.take().ok_or(io::ErrorKind::NotFound)?);
        for _ in 0..rounds.lone_lines {
            ways.add(way_of_next(&mut output)?);
        }
        if filter.name == "`cat`" {
            cat = ways.median();
        }
        if filter.command.is_none() {
            section.goals.push(Goal {
                what: "a lone line as JSON, p99",
                to_reach: "below 1 ms",
                measured: format!("{} ms", ms(ways.p99())),
            });
        }
        let figures = [ways.median(), ways.p99(), ways.max()].map(us);
        table.row(filter.name, figures.into_iter().chain([times(ways.median(), cat)]));
    }
    section.tables.push(table);
    Ok(())
}

/// How old the time in the next line is.
fn way_of_next(output: &mut impl io::BufRead) -> io::Result<u64> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    let now = sys::now();
    let time = line.split("at=").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
    let time: u64 = time.ok_or_else(|| io::Error::other(format!("no time in {line:?}")))?;
    Ok(now - time)
}

/// By how many KiB stead's resident memory grows at most while lines of a megabyte of NULs go through it.
fn growth_with_nuls(wrappers: &Wrappers) -> io::Result<u64> {
    const COUNT: usize = 32;
    let mut filter = Filter { name: "stead", command: None, share: 1, answers: true };
    let mut flow = filter.start(wrappers, Lines::Nuls, COUNT)?;
    let output = flow.output.as_mut().ok_or(io::ErrorKind::NotFound)?;
    output.read_exact(&mut [0; 16])?;
    std::thread::sleep(Duration::from_secs(1));
    let pid = flow.filter.pid();
    let idle = resident(pid, "VmRSS")?;
    // The peak is counted from now on; proc(5), clear_refs.
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    sys::send_signal(pid, libc::SIGUSR1)?;
    let (mut seen, mut buffer) = (0, vec![0; BLOCK]);
    // A NUL is six bytes of JSON.
    while seen < COUNT * LONGEST * 6 {
        match output.read(&mut buffer)? {
            0 => return Err(io::Error::other("the NULs did not all come through")),
            read => seen += read,
        }
    }
    Ok(resident(pid, "VmHWM")?.saturating_sub(idle))
}

fn resident(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = value_of(&status, name).and_then(|value| value.split(' ').next()?.parse().ok());
    kib.ok_or_else(|| io::Error::other(format!("no {name} of {pid}")))
}
