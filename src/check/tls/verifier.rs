//! What of a server's certificate is verified: all of it, who issued it, or nothing; the handshake's signatures always.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Verify, certificates, roots, validity};

/// Verifies as it was configured.
#[derive(Debug)]
pub(super) struct Verifier {
    verify: Verify,
    /// By the issuers; none where nothing is verified.
    by_issuer: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that were named as trusted themselves.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Trusts the issuers in the PEM file `ca` alone, or the system's without it.
    pub(super) fn new(verify: Verify, ca: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let trusted = ca.map(certificates).transpose()?.unwrap_or_default();
        let roots = match ca {
            _ if verify == Verify::Nothing => None,
            None => Some(roots::roots()),
            Some(path) => {
                let mut store = RootCertStore::empty();
                if store.add_parsable_certificates(trusted.iter().cloned()).0 == 0 {
                    return Err(format!("{}: no certificate", path.display()));
                }
                Some(Arc::new(store))
            }
        };
        let by_issuer = roots
            .map(|roots| WebPkiServerVerifier::builder_with_provider(roots, provider).build())
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok(Self { verify, by_issuer, trusted, algorithms })
    }

    /// A certificate that is itself among the trusted ones needs no issuer. It is usually its own, and marked as one,
    /// which the verifier by issuers refuses for a server and OpenSSL does not.
    fn verify_trusted(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let (starts, ends) = validity(certificate).ok_or(CertificateError::BadEncoding)?;
        if now.as_secs() > ends {
            return Err(CertificateError::Expired.into());
        }
        if now.as_secs() < starts {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&parsed, name)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(by_issuer) = &self.by_issuer else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict = if self.trusted.iter().any(|trusted| trusted == end_entity) {
            Self::verify_trusted(end_entity, server_name, now)
        } else {
            by_issuer
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop)
        };
        match verdict {
            // The name comes last, so that all else is well.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Issuer => {}
            verdict => verdict?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
