//! Whom to trust where nothing is said: the system's roots, and built-in ones where it has none, as in an image FROM
//! scratch. All targets share one copy, which is read again when the file has changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;

use super::certificates;
use crate::check::files::{Stamp, stamp};

/// Where distributions keep their roots, in the order of Go's crypto/x509 (root_linux.go).
const SYSTEM_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What was read last, and from what.
static READ: Mutex<Option<(Source, Arc<RootCertStore>)>> = Mutex::new(None);

/// The file with its stamp, or none for the built-in roots.
type Source = Option<(PathBuf, Stamp)>;

/// The file of the system's roots: what `SSL_CERT_FILE` names, as for OpenSSL, or the first that is there.
pub(super) fn system_file() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = SYSTEM_FILES.iter().map(PathBuf::from);
    named.into_iter().chain(usual).find(|path| stamp(path).is_some())
}

/// The roots to trust.
pub(super) fn roots() -> Arc<RootCertStore> {
    let source = system_file().map(|path| (path.clone(), stamp(&path)));
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, store)) = read.as_ref()
        && *known == source
    {
        return store.clone();
    }
    let store = source.as_ref().and_then(|(path, _)| of_file(path)).unwrap_or_else(built_in);
    let store = Arc::new(store);
    *read = Some((source, store.clone()));
    store
}

/// The certificates of a file, if it has any: a bundle may hold some that nobody can use.
fn of_file(path: &Path) -> Option<RootCertStore> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(path).ok()?);
    (added > 0).then_some(store)
}

fn built_in() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}
