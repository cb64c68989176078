//! The socket behind `NOTIFY_SOCKET`: datagrams, each with its sender and the descriptors that came with it.

use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::ptr;

use tokio::io::unix::AsyncFd;

use super::checked;
use super::process::Pid;

/// The longest message that is taken in, in bytes: systemd's own limit, which is `PIPE_BUF`.
pub const LONGEST: usize = 4096;

/// Room for what comes beside a message: the sender, and as many descriptors as the kernel lets one message have
/// (`SCM_MAX_FD`, 253).
type Control = [u64; 136];

/// A datagram socket that is bound to an abstract name (unix(7)): no directory needs to be writable, whoever the child
/// runs as may send to it, and it is gone with its last descriptor.
#[derive(Debug)]
pub struct NotifySocket(UnixDatagram);

/// A message, but for its bytes.
#[derive(Debug)]
pub struct Received {
    /// How many bytes it has; none where it was longer than [`LONGEST`], which it then is lost for.
    pub length: Option<usize>,
    /// The process that sent it, as the kernel vouches; 0 where it is outside the pid namespace.
    pub from: Pid,
    /// The user that it runs as.
    pub uid: u32,
    /// Closed when they are dropped.
    pub descriptors: Vec<OwnedFd>,
}

impl NotifySocket {
    /// Opens one under a random name, and gives that as `NOTIFY_SOCKET` has it.
    pub fn open() -> io::Result<(Self, String)> {
        let mut random = [0u64; 2];
        let size = size_of_val(&random);
        // SAFETY: the kernel writes no more than the size that it is told. So few bytes come whole; getrandom(2).
        let got = unsafe { libc::getrandom(random.as_mut_ptr().cast(), size, 0) };
        if got != size as isize {
            return Err(io::Error::last_os_error());
        }
        let [one, two] = random;
        let name = format!("stead/{one:016x}{two:016x}");
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        let on: libc::c_int = 1;
        // SAFETY: the option is an integer.
        checked(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PASSCRED,
                ptr::from_ref(&on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
        Ok((Self(socket), format!("@{name}")))
    }

    /// The same socket for a task to wait on. To be called inside the runtime.
    pub fn into_async(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is the socket's own, and stays open for as long as the socket.
        Ok(unsafe { AsyncFd::register(self) }?)
    }

    /// The next message that is waiting, if there is one. Never blocks.
    pub fn receive(&self, buffer: &mut [u8; LONGEST]) -> Option<Received> {
        let mut control: Control = [0; 136];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: LONGEST };
        // SAFETY: a msghdr is plain data, for which zeroes are a value; what it points to outlives the call.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &mut part;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            let length = libc::recvmsg(self.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC);
            let length = usize::try_from(length).ok()?;
            let is_whole = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) == 0;
            let mut received = Received {
                length: is_whole.then_some(length),
                from: Pid::new(0),
                uid: u32::MAX,
                descriptors: Vec::new(),
            };
            read_control(&header, &mut received);
            Some(received)
        }
    }
}

/// Reads what came beside a message; cmsg(3).
///
/// # Safety
/// recvmsg(2) must have filled the header, and its descriptors must be nobody's yet.
unsafe fn read_control(header: &libc::msghdr, received: &mut Received) {
    // SAFETY: the kernel wrote whole entries, and each has the form that its type says.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(entry) = next.as_ref() {
            let data = libc::CMSG_DATA(entry);
            match (entry.cmsg_level, entry.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    let sender = data.cast::<libc::ucred>().read_unaligned();
                    received.from = Pid::new(sender.pid);
                    received.uid = sender.uid;
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    // The length's type is another one in each C library.
                    let bytes = entry.cmsg_len as u64 - u64::from(libc::CMSG_LEN(0));
                    for place in 0..bytes as usize / size_of::<RawFd>() {
                        let fd = data.cast::<RawFd>().add(place).read_unaligned();
                        received.descriptors.push(OwnedFd::from_raw_fd(fd));
                    }
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(header, entry);
        }
    }
}

impl AsRawFd for NotifySocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: &str) -> UnixDatagram {
        let socket = UnixDatagram::unbound().unwrap();
        let name = name.strip_prefix('@').unwrap();
        socket.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        socket
    }

    #[test]
    fn a_message_comes_with_its_sender_and_one_that_is_too_long_without_its_length() {
        let (socket, name) = NotifySocket::open().unwrap();
        let mut buffer = [0; LONGEST];
        assert!(socket.receive(&mut buffer).is_none());
        let sender = sender(&name);
        for (size, length) in [(7, Some(7)), (LONGEST, Some(LONGEST)), (LONGEST + 1, None)] {
            sender.send(&vec![b'x'; size]).unwrap();
            let received = socket.receive(&mut buffer).unwrap();
            assert_eq!((received.length, received.from), (length, Pid::own()));
            assert!(received.descriptors.is_empty());
        }
    }

    #[test]
    fn no_two_have_one_name() {
        let (one, two) = (NotifySocket::open().unwrap(), NotifySocket::open().unwrap());
        assert_ne!(one.1, two.1);
    }
}
