//! Host names to addresses, by the C library's resolver, so that /etc/hosts, search domains and `ndots` count.

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The name exists and has no address: netdb.h of both C libraries, absent from the libc crate.
const EAI_NODATA: libc::c_int = -5;

/// Why a name has no address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// The answer was that there is no such name, or none with an address.
    #[error("no such name")]
    NotFound,
    /// There was no answer.
    #[error("{0}")]
    Failed(String),
}

/// Keeps glibc's resolver to /etc/hosts and DNS, whatever the image's nsswitch.conf says: a static program would
/// load the image's NSS libraries, and with them a second C library. Call it once, before the first look-up.
pub fn use_files_and_dns_only() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(
                database: *const libc::c_char,
                service_line: *const libc::c_char,
            ) -> libc::c_int;
        }
        // SAFETY: two C strings, which glibc copies; nss/nsswitch.h.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// The addresses of `host`, in the order of RFC 6724. Blocks for as long as the resolver does.
/// `localhost` and the names below it are loopback, whatever any file says (RFC 6761, section 6.3).
pub fn lookup(host: &str) -> Result<Vec<IpAddr>, LookupError> {
    let bare = host.trim_end_matches('.').to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let name = CString::new(host).map_err(|_| LookupError::NotFound)?;
    let hints = libc::addrinfo {
        ai_flags: 0,
        ai_family: libc::AF_UNSPEC,
        ai_socktype: libc::SOCK_STREAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: std::ptr::null_mut(),
        ai_canonname: std::ptr::null_mut(),
        ai_next: std::ptr::null_mut(),
    };
    let mut list = std::ptr::null_mut();
    // SAFETY: a C string, no service, hints as getaddrinfo(3) wants them, and a place for the list.
    match unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &hints, &mut list) } {
        0 => {}
        libc::EAI_NONAME | EAI_NODATA => return Err(LookupError::NotFound),
        code => return Err(LookupError::Failed(reason(code))),
    }
    let mut addresses = Vec::new();
    let mut next = list;
    // SAFETY: getaddrinfo made the list; each entry's address is of the family that it names.
    unsafe {
        while let Some(entry) = next.as_ref() {
            addresses.extend(address(entry));
            next = entry.ai_next;
        }
        libc::freeaddrinfo(list);
    }
    if addresses.is_empty() { Err(LookupError::NotFound) } else { Ok(addresses) }
}

/// The address of one entry of the resolver's list.
///
/// # Safety
/// The entry must come from getaddrinfo(3) and its list must not be freed yet.
unsafe fn address(entry: &libc::addrinfo) -> Option<IpAddr> {
    // SAFETY: the family tells which structure ai_addr points to; getaddrinfo(3).
    unsafe {
        match entry.ai_family {
            libc::AF_INET => {
                let address = entry.ai_addr.cast::<libc::sockaddr_in>().as_ref()?;
                Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let address = entry.ai_addr.cast::<libc::sockaddr_in6>().as_ref()?;
                Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// The resolver's own words for its error code.
fn reason(code: libc::c_int) -> String {
    // SAFETY: gai_strerror answers a static C string for every code.
    unsafe { CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_names_below_it_need_no_resolver() {
        for name in ["localhost", "LOCALHOST", "localhost.", "db.localhost"] {
            assert_eq!(
                lookup(name).unwrap(),
                ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]
            );
        }
    }

    #[test]
    fn an_address_is_its_own_name() {
        assert_eq!(lookup("::1").unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_name_with_a_nul_is_not_found() {
        assert_eq!(lookup("a\0b"), Err(LookupError::NotFound));
    }
}
