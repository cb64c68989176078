//! What lapin asks of a runtime, on the one that stead has: its tasks, which end with the connection that they belong to,
//! and its waiting. lapin is given streams that are connected already, so that it needs no sockets.

use std::future::{Future, ready};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, DummyStream, Task, TaskImpl, simple_block_on};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Sleep, sleep};

use super::wire::Wire;

/// stead's runtime, and the tasks that one connection has on it.
#[derive(Clone, Debug)]
pub(super) struct Kit {
    handle: Handle,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Kit {
    /// For one connection. To be called inside the runtime.
    pub(super) fn new() -> Self {
        Self { handle: Handle::current(), tasks: Arc::default() }
    }

    /// The runtime itself.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the tasks.
    pub(super) fn end(&self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = Spawned<T>;

    /// On lapin's own thread.
    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        simple_block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Spawned<T>> {
        let task = self.handle.spawn(future);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task.abort_handle());
        Spawned(task).into()
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Spawned<T>> {
        Spawned(self.handle.spawn_blocking(work)).into()
    }
}

impl Reactor for Kit {
    type TcpStream = Wire;
    type Sleep = Pin<Box<Sleep>>;

    // The trait's bound is of a type that cannot be named from here; an implementation may ask for less.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<Sleep>> {
        let _inside = self.handle.enter();
        Box::pin(sleep(duration))
    }

    #[expect(
        clippy::disallowed_types,
        reason = "the trait's signature; nothing asks for intervals"
    )]
    fn interval(
        &self,
        _period: Duration,
    ) -> impl Stream<Item = std::time::Instant> + Send + 'static {
        DummyStream(PhantomData)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Wire>> + Send + 'static {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

/// A task of lapin's. One that was ended never gives its result.
#[derive(Debug)]
pub(super) struct Spawned<T>(JoinHandle<T>);

impl<T: Send + 'static> Future for Spawned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: Send + 'static> TaskImpl for Spawned<T> {}
