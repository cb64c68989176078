//! The pumps: for each of the child's streams that goes out as JSON a pipe and the thread that moves what comes through
//! it. A thread waits for the child and for its reader, and nothing waits for the thread but the end, within a limit.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing::warn;

use super::backlog::{Backlog, Filling};
use super::event::{Renderer, Stream, Style};
use super::flow::Flow;
use super::intake::{Intake, Sink};
use super::line::{LIMIT, Machine, Options};
use super::outlet::Outlet;
use crate::config::Output;
use crate::sys::clock::monotonic_micros;
use crate::sys::descriptors::{is_terminal, was_given};
use crate::sys::pipe;

/// How long the end waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it takes something.
const LOOK: Duration = Duration::from_millis(50);
/// A thread holds its buffers on the heap.
const STACK: usize = 64 * 1024;

/// What the log's thread knows of the child's lines.
static FLOWS: OnceLock<Vec<Arc<Flow>>> = OnceLock::new();

/// The threads that move the child's lines.
pub struct Pumps(Vec<Arc<Flow>>);

/// What the child is given in place of stead's own standard output and error.
pub type Inlets = [Option<OwnedFd>; 2];

impl Pumps {
    /// Starts what these settings ask for, if anything.
    pub fn start(output: &Output, style: &Style) -> io::Result<(Self, Inlets)> {
        let mut inlets = Inlets::default();
        let mut flows = Vec::new();
        for (stream, inlet) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut inlets) {
            let fd = stream.fd();
            // A stream that is closed stays that for the child.
            if !was_given(fd) || !output.logs.is_json(is_terminal(fd), &style.labels) {
                continue;
            }
            let (pipe, writer) = pipe::open()?;
            let flow = Arc::new(Flow::new(stream, pipe)?);
            start(&flow, output, Renderer::new(style, stream))?;
            flows.push(flow);
            *inlet = Some(writer);
        }
        // There is one child, and so one start.
        let _ = FLOWS.set(flows.clone());
        Ok((Self(flows), inlets))
    }

    /// Has everything written that the child and its processes have left in the pipes, and waits for that: for as long as
    /// the output takes something, and a while where it takes nothing. Nobody else who holds a pipe open is waited for.
    pub fn finish(&self) {
        self.0.iter().for_each(|flow| flow.end());
        let written = || self.0.iter().map(|flow| flow.written()).sum::<u64>();
        let (mut before, mut since) = (written(), monotonic_micros());
        while self.0.iter().any(|flow| !flow.is_finished()) {
            thread::park_timeout(LOOK);
            let (written, now) = (written(), monotonic_micros());
            if written != before {
                (before, since) = (written, now);
            } else if Duration::from_micros(now.saturating_sub(since)) >= PATIENCE {
                break;
            }
        }
        for flow in self.0.iter().filter(|flow| !flow.is_finished()) {
            warn!(stream = flow.stream.name(), bytes = flow.unsettled(), "lines lost");
        }
    }
}

/// Lets what the child has said by now go out before an event of stead's own, where that takes but a moment.
pub fn let_ahead() {
    FLOWS.get().into_iter().flatten().for_each(|flow| flow.let_ahead());
}

/// Starts the thread of a stream, or two where one must not wait for the other.
fn start(flow: &Arc<Flow>, output: &Output, renderer: Renderer) -> io::Result<()> {
    let name = flow.stream.name();
    let machine = Machine::new(Options { limit: LIMIT, join_traces: output.join_traces });
    let mut outlet = Outlet::new(flow.clone(), renderer);
    if !output.drop {
        return read(flow, machine, outlet);
    }
    let backlog = Arc::new(Backlog::new());
    read(flow, machine, Filling(backlog.clone()))?;
    let flow = flow.clone();
    spawn(format!("{name}-out"), move || backlog.write_to(&mut outlet, &flow))
}

fn read(flow: &Arc<Flow>, machine: Machine, sink: impl Sink + Send + 'static) -> io::Result<()> {
    let mut intake = Intake { flow: flow.clone(), machine, sink };
    spawn(flow.stream.name().to_owned(), move || intake.run())
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).stack_size(STACK).spawn(run).map(drop)
}
