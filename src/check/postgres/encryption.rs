//! TLS as libpq's `sslmode` means it: whether it is asked for, what a refusal is worth, and what binds a login to it.

use ring::digest::{SHA256, SHA384, SHA512, digest};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::tls::{ChannelBinding, TlsStream};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::super::stream::Stream;
use super::super::tls::{Tls, Verify};
use super::super::{Class, ProbeError, Progress, Stage};
use crate::value::Wrong;

/// `sslmode`, from the least to the most.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Mode {
    Disable,
    Allow,
    /// libpq's default.
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// One way to log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Without TLS.
    Clear,
    /// With TLS if the server has it.
    Offered,
    /// With TLS.
    Encrypted,
}

impl Way {
    pub(super) fn is_clear(self) -> bool {
        self == Self::Clear
    }
}

/// How connections are encrypted.
#[derive(Debug, Default)]
pub(super) struct Encryption {
    pub(super) mode: Mode,
    /// TLS from the first byte on, as servers since 17 understand it (`sslnegotiation=direct`).
    pub(super) direct: bool,
    pub(super) tls: Tls,
    /// The URL says in words that nothing is to be verified.
    pub(super) unverified_as_asked: bool,
}

/// The message that asks for TLS (PostgreSQL's documentation, "Message Formats": SSLRequest).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Mode {
    /// The value of `sslmode`.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" => Ok(Self::Allow),
            "prefer" => Ok(Self::Prefer),
            "require" | "no-verify" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err("sslmode: none of disable, allow, prefer, require, verify-ca and verify-full"
                .to_owned()),
        }
    }
}

impl Encryption {
    /// The way to try, and the one to try when that is refused.
    pub(super) const fn ways(&self) -> (Way, Option<Way>) {
        match self.mode {
            Mode::Disable => (Way::Clear, None),
            Mode::Allow => (Way::Clear, Some(Way::Encrypted)),
            Mode::Prefer => (Way::Offered, Some(Way::Clear)),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (Way::Encrypted, None),
        }
    }

    /// Whether TLS is asked for, and any certificate is good although nobody said so: libpq's `require`.
    pub(super) fn is_careless(&self) -> bool {
        let unverified = self.mode == Mode::Require && self.tls.verify() == Verify::Nothing;
        unverified && !self.unverified_as_asked
    }

    /// Settles TLS on a stream that has just been connected.
    pub(super) async fn settle(
        &self,
        mut stream: Stream,
        host: &str,
        (way, progress): (Way, &Progress),
    ) -> Result<Stream, ProbeError> {
        if way == Way::Clear {
            return Ok(stream);
        }
        progress.enter(Stage::Tls);
        if !self.direct {
            match asked(&mut stream).await? {
                b'S' => {}
                b'N' if way == Way::Offered => return Ok(stream),
                b'N' => {
                    return Err(ProbeError::new(Class::TlsRefused, "the server has no TLS"));
                }
                _ => {
                    let text = "neither yes nor no to the question for TLS";
                    return Err(ProbeError::new(Class::Protocol, text));
                }
            }
        }
        self.tls.handshake(stream, host, progress).await
    }
}

/// The one byte that answers the question for TLS. Nothing behind it is read: it would be read as encrypted.
async fn asked(stream: &mut Stream) -> Result<u8, ProbeError> {
    let answer = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    answer.await.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            ProbeError::new(Class::ConnectReset, "the server closed the connection")
        }
        _ => ProbeError::new(Class::of(&error), error),
    })
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        let Self::Tls(tls) = self else { return ChannelBinding::none() };
        let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match certificate.and_then(end_point) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

/// The hash of a server's certificate by the function of its own signature, MD5 and SHA-1 replaced by SHA-256 (RFC 5929,
/// section 4.1); none where the signature has no such function, as Ed25519.
fn end_point(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let hash = |by| digest(by, der).as_ref().to_vec();
    match certificate.signature_algorithm().oid.to_string().as_str() {
        // RSA with MD5, SHA-1 and SHA-256 (RFC 8017), ECDSA with SHA-1 and SHA-256 (RFC 5758).
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(hash(&SHA256)),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(hash(&SHA384)),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(hash(&SHA512)),
        _ => None,
    }
}
