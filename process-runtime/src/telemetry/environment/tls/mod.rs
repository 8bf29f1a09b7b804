//! Certificates for TLS, and the TLS configuration of the HTTP client and of the gRPC client. Reading files does not
//! belong here.

pub(super) mod file;

use std::fmt;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{ClientCert, PemItem, RootCerts, TlsConfig, TlsConfigBuilder, parse_pem};

/// The content of a PEM file with certificates or keys. `Debug` does not show it.
#[derive(Clone)]
pub(in crate::telemetry) struct Pem(Vec<u8>);

impl Pem {
    pub(in crate::telemetry) fn new(bytes: Vec<u8>) -> Pem {
        Pem(bytes)
    }

    fn items(&self) -> impl Iterator<Item = PemItem<'static>> + '_ {
        parse_pem(&self.0).filter_map(Result::ok)
    }

    fn certificates(&self) -> impl Iterator<Item = ureq::tls::Certificate<'static>> + '_ {
        self.items().filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
    }

    fn key(&self) -> Option<ureq::tls::PrivateKey<'static>> {
        self.items().find_map(|item| match item {
            PemItem::PrivateKey(key) => Some(key),
            _ => None,
        })
    }

    pub(in crate::telemetry) fn has_certificate(&self) -> bool {
        self.certificates().next().is_some()
    }

    /// Returns whether the file contains a certificate that can be the certificate of an authority.
    pub(in crate::telemetry) fn has_authority(&self) -> bool {
        let certificates = CertificateDer::pem_slice_iter(&self.0).filter_map(Result::ok);
        RootCertStore::empty().add_parsable_certificates(certificates).0 > 0
    }

    pub(in crate::telemetry) fn has_key(&self) -> bool {
        self.key().is_some()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of PEM", self.0.len())
    }
}

/// Returns why a client cannot identify itself with this certificate and key. Both clients panic or fail with such a
/// pair only when they connect.
pub(super) fn identity_problem(certificate: &Pem, key: &Pem) -> Option<String> {
    let chain = CertificateDer::pem_slice_iter(&certificate.0).filter_map(Result::ok).collect();
    let Ok(key) = PrivateKeyDer::from_pem_slice(&key.0) else {
        return Some("the key cannot be read".to_owned());
    };
    let problem = CertifiedKey::from_der(chain, key, &ring::default_provider()).err()?;
    Some(format!("the certificate and the key cannot be used together ({problem})"))
}

/// The TLS settings of a connection.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct Tls {
    /// The trusted certificate authorities, or `None` for Mozilla's list.
    pub(in crate::telemetry) authorities: Option<Pem>,
    /// The client certificate and its key. `None` if the client does not identify itself.
    pub(in crate::telemetry) identity: Option<(Pem, Pem)>,
}

impl Tls {
    /// Returns the configuration for the gRPC client. By default that client trusts no authority, so Mozilla's list is
    /// set explicitly.
    pub(in crate::telemetry) fn grpc_config(&self) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new();
        let tls = match &self.authorities {
            Some(Pem(authorities)) => tls.ca_certificate(Certificate::from_pem(authorities)),
            None => tls.with_webpki_roots(),
        };
        match &self.identity {
            Some((Pem(certificate), Pem(key))) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        }
    }

    /// Returns the configuration for the HTTP client.
    pub(in crate::telemetry) fn http_config(&self) -> TlsConfigBuilder {
        let roots = self.authorities.as_ref().map(|authorities| authorities.certificates().into());
        let identity = self.identity.as_ref().and_then(|(certificate, key)| {
            let chain: Vec<_> = certificate.certificates().collect();
            Some(ClientCert::new_with_certs(&chain, key.key()?))
        });
        TlsConfig::builder().root_certs(roots.unwrap_or(RootCerts::WebPki)).client_cert(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_trusts_the_default_authorities_if_none_are_configured() {
        let tls = format!("{:?}", Tls::default().grpc_config());
        assert!(tls.contains("with_webpki_roots: true"), "{tls}");
    }

    #[test]
    fn debug_does_not_show_a_key() {
        let key = Pem::new(b"secret".to_vec());
        assert_eq!(format!("{key:?}"), "6 bytes of PEM");
    }
}
