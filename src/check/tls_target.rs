//! A TLS server, by its certificate.

use super::address::Address;
use super::options::Options;
use super::stream::Place;
use super::tls::{self, Tls};
use super::url::Url;
use super::{Class, Fact, Pass, ProbeError, Progress, Stage};
use crate::value::Wrong;

/// A TLS server.
///
/// Up proves: the host resolves, the port accepts, TLS is agreed on with a certificate that is trusted, for this host,
/// valid now and for `stead_min_days` more. Nothing is sent beyond that; whether the server takes stead's own certificate
/// is told only where it refuses it during the handshake. The detail is the days that the certificate lasts.
#[derive(Debug)]
pub struct TlsTarget {
    place: Place,
    tls: Tls,
    min_days: Option<u64>,
}

impl TlsTarget {
    /// `tls://host:port`.
    pub fn parse(url: &Url, options: &mut Options) -> Result<Self, Wrong> {
        let host = url.only_host()?;
        let port = host.port.unwrap_or(443);
        Ok(Self {
            place: Place::Host(Address::new(&host.name, port)),
            tls: Tls::take(options)?,
            min_days: options.take_number("min_days")?,
        })
    }

    pub(super) async fn probe(&self, progress: &Progress) -> Result<Pass, ProbeError> {
        let (stream, _) = self.place.connect(progress).await?;
        let stream = self.tls.handshake(stream, self.place.host(), progress).await?;
        progress.enter(Stage::State);
        let days = tls::days_left(&stream)?;
        if let Some(min) = self.min_days.filter(|min| days < *min as f64) {
            let text = format!("the certificate lasts {days:.1} days, fewer than {min}");
            return Err(ProbeError::new(Class::CertificateExpires, text));
        }
        let days = (days * 10.0).round() / 10.0;
        Ok(Pass { detail: vec![("days_left", Fact::Number(days))], concern: None })
    }
}
