//! TLS for all drivers: what is configured, who stead is, and what a failed handshake means.

mod roots;
mod verifier;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;
pub(super) use tokio_rustls::client::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Validity;

use super::files::{Stamp, stamp};
use super::flight::Flight;
use super::options::Options;
use super::stream::Stream;
use super::{Class, ProbeError, Progress, Stage};
use crate::value::Wrong;
use verifier::Verifier;

/// What of a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Verify {
    /// Who issued it, and that it is for this host.
    #[default]
    Full,
    /// Who issued it.
    Issuer,
    /// Nothing.
    Nothing,
}

/// TLS as configured. Files are read when they are needed, and again when they have changed.
#[derive(Debug, Default)]
pub(super) struct Tls {
    pub(super) terms: Arc<Terms>,
    made: Mutex<Option<Made>>,
    look: Flight<Result<Made, String>>,
}

/// What is configured.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) verify: Verify,
    /// A PEM file of the only issuers that are trusted; without it the system's, else built-in ones.
    pub(super) ca: Option<PathBuf>,
    /// Whether nothing is verified where that file is not there, instead of a failure.
    pub(super) ca_may_be_missing: bool,
    /// PEM files of stead's own certificate chain and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// Protocols to offer (ALPN).
    pub(super) protocols: Vec<Vec<u8>>,
}

/// What was made of the terms, and the files as they were then.
#[derive(Clone, Debug)]
struct Made {
    stamps: Vec<Stamp>,
    verify: Verify,
    config: Arc<ClientConfig>,
}

impl Terms {
    /// Takes `ca`, `verify`, `cert` and `key`.
    pub(super) fn take(options: &mut Options) -> Result<Self, Wrong> {
        let verify = match options.take_switch("verify")? {
            Some(false) => Verify::Nothing,
            _ => Verify::Full,
        };
        let ca = options.take("ca").map(PathBuf::from);
        let client = match (options.take("cert"), options.take("key")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err("stead_cert and stead_key go together".to_owned()),
        };
        Ok(Self { verify, ca, client, ..Self::default() })
    }

    /// What is made of them now; the same again where no file has changed.
    fn made(&self, known: Option<Made>) -> Result<Made, String> {
        let ca = self.ca.clone().or_else(roots::system_file);
        let files = ca.iter().chain(self.client.iter().flat_map(|(cert, key)| [cert, key]));
        let stamps: Vec<Stamp> = files.map(|path| stamp(path)).collect();
        if let Some(known) = known.filter(|known| known.stamps == stamps) {
            return Ok(known);
        }
        let is_missing = self.ca_may_be_missing && stamps.first().is_none_or(Option::is_none);
        let verify = if is_missing { Verify::Nothing } else { self.verify };
        Ok(Made { stamps, verify, config: Arc::new(self.config(verify)?) })
    }

    fn config(&self, verify: Verify) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let ca = self.ca.as_deref().filter(|_| verify != Verify::Nothing);
        let verifier = Verifier::new(verify, ca)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("{}: {error}", key.display()))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
        };
        config.alpn_protocols.clone_from(&self.protocols);
        // A session that goes on shows no certificate: one that is over, or another one, would not be noticed.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl From<Terms> for Tls {
    fn from(terms: Terms) -> Self {
        Self { terms: Arc::new(terms), ..Self::default() }
    }
}

impl Tls {
    /// Takes what [`Terms::take`] does.
    pub(super) fn take(options: &mut Options) -> Result<Self, Wrong> {
        Terms::take(options).map(Self::from)
    }

    /// What of a server's certificate is verified, where it depends on a file by what is known of that.
    pub(super) fn verify(&self) -> Verify {
        self.lock().as_ref().map_or(self.terms.verify, |made| made.verify)
    }

    /// Agrees on TLS over a stream to `host`.
    pub(super) async fn handshake(
        &self,
        stream: Stream,
        host: &str,
        progress: &Progress,
    ) -> Result<Stream, ProbeError> {
        progress.enter(Stage::Tls);
        let config = self.config().await?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| {
            ProbeError::new(Class::TlsWrongName, "no host name that a certificate could be for")
        })?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Files that do not answer hold up nothing as long as it is known what was in them.
    async fn config(&self) -> Result<Arc<ClientConfig>, ProbeError> {
        let known = self.lock().clone();
        let (terms, given) = (self.terms.clone(), known.clone());
        let make = move || terms.made(given);
        let made = match known {
            None => self.look.answer(make).await?,
            Some(known) => self.look.answer_soon(make).await?.unwrap_or(Ok(known)),
        };
        let made = made.map_err(|text| ProbeError::new(Class::TlsFailed, text))?;
        *self.lock() = Some(made.clone());
        Ok(made.config)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| format!("{}: {error}", path.display()))
}

/// How many days the server's certificate still lasts; fewer than none where it is over.
pub(super) fn days_left(stream: &Stream) -> Result<f64, ProbeError> {
    let Stream::Tls(stream) = stream else {
        return Err(ProbeError::new(Class::TlsFailed, "no TLS"));
    };
    let chain = stream.get_ref().1.peer_certificates();
    let validity = chain.and_then(|chain| validity(chain.first()?));
    let (_, end) = validity
        .ok_or_else(|| ProbeError::new(Class::TlsFailed, "a certificate without an end"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((end as f64 - now.as_secs_f64()) / SECONDS_OF_A_DAY)
}

const SECONDS_OF_A_DAY: f64 = 24.0 * 3600.0;

/// From when to when a certificate is valid, in seconds since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let Validity { not_before, not_after, .. } = certificate.tbs_certificate().validity();
    Some((not_before.to_unix_duration().as_secs(), not_after.to_unix_duration().as_secs()))
}

/// What a failure of TLS means, from the error that the stream gave.
pub(super) fn failed(error: io::Error) -> ProbeError {
    match class_of(&error) {
        Class::TlsRefused => ProbeError::new(Class::TlsRefused, "what answers there is no TLS"),
        class => ProbeError::new(class, error),
    }
}

/// The class of an error of a stream that may be under TLS.
pub(super) fn class_of(error: &io::Error) -> Class {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(reason)) => match reason {
            CertificateError::UnknownIssuer => Class::TlsUntrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Class::TlsWrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Class::TlsExpired,
            _ => Class::TlsUntrusted,
        },
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        )) => Class::TlsClientCertificate,
        Some(Error::InvalidMessage(_)) => Class::TlsRefused,
        Some(_) => Class::TlsFailed,
        None if error.kind() == io::ErrorKind::UnexpectedEof => Class::ConnectReset,
        None => Class::of(error),
    }
}
