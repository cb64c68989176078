//! TLS for all drivers: whom to trust, what to verify, who stead is, and what a failed handshake means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::options::Options;
use super::stream::Stream;
use super::{Class, ProbeError, Progress, Stage};
use crate::value::Wrong;

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
    pub(super) verify: Verify,
    /// A PEM file of the only issuers that are trusted; without it the system's, else built-in ones.
    pub(super) ca: Option<PathBuf>,
    /// PEM files of stead's own certificate chain and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// Protocols to offer (ALPN).
    pub(super) protocols: Vec<Vec<u8>>,
    made: Mutex<Option<(Vec<Option<SystemTime>>, Arc<ClientConfig>)>>,
}

/// Where distributions keep their roots.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Tls {
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

    /// Agrees on TLS over a stream to `host`.
    pub(super) async fn handshake(
        &self,
        stream: Stream,
        host: &str,
        progress: &Progress,
    ) -> Result<Stream, ProbeError> {
        progress.enter(Stage::Tls);
        let config = self.config()?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| {
            ProbeError::new(Class::TlsWrongName, "no host name that a certificate could be for")
        })?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, ProbeError> {
        let files = self.ca.iter().chain(self.client.iter().flat_map(|(cert, key)| [cert, key]));
        let stamps: Vec<_> =
            files.map(|path| fs::metadata(path).and_then(|file| file.modified()).ok()).collect();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, config)) = made.as_ref()
            && *known == stamps
        {
            return Ok(config.clone());
        }
        let config =
            Arc::new(self.build().map_err(|text| ProbeError::new(Class::TlsFailed, text))?);
        *made = Some((stamps, config.clone()));
        Ok(config)
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self.verify {
            Verify::Full => builder.with_root_certificates(self.roots()?),
            Verify::Issuer => {
                let verifier = WebPkiServerVerifier::builder_with_provider(
                    self.roots()?.into(),
                    provider.clone(),
                );
                let verifier = verifier.build().map_err(|error| error.to_string())?;
                let verifier = Lenient { inner: Some(verifier), provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Verify::Nothing => {
                let verifier = Lenient { inner: None, provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
                    format!("{}: {error}", path.display())
                };
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
                let chain = certificates(cert)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        if let Some(path) = &self.ca {
            let (added, _) = store.add_parsable_certificates(certificates(path)?);
            return if added > 0 {
                Ok(store)
            } else {
                Err(format!("{}: no certificate", path.display()))
            };
        }
        for path in SYSTEM_ROOTS.map(Path::new) {
            let found = certificates(path).unwrap_or_default();
            if store.add_parsable_certificates(found).0 > 0 {
                return Ok(store);
            }
        }
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Ok(store)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| format!("{}: {error}", path.display()))
}

/// What a failure of TLS means, from the text of the error that the stream gave.
pub(super) fn failed(error: io::Error) -> ProbeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let class = match inner {
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
            | AlertDescription::CertificateRevoked,
        )) => Class::TlsClientCertificate,
        Some(Error::InvalidMessage(_)) => Class::TlsRefused,
        Some(_) => Class::TlsFailed,
        None if error.kind() == io::ErrorKind::UnexpectedEof => Class::ConnectReset,
        None => Class::of(&error),
    };
    ProbeError::new(class, error)
}

/// Verifies the issuer and not the name, or nothing at all; the handshake's signatures always.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
