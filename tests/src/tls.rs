//! Adds TLS in front of a peer without TLS. Only programs that a test configures trust the authority that signs the
//! certificates.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// The authority that signs the certificates of the peer and of its clients.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// The clients that the peer admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admits {
    /// All clients.
    All,
    /// Clients with a certificate of the authority.
    Certified,
}

impl Authority {
    /// Creates an authority that writes its files into this directory.
    pub fn new(directory: &Path) -> Authority {
        std::fs::create_dir_all(directory).expect("writable");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key is made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        Authority { issuer, directory: directory.to_owned() }
    }

    /// Writes the certificate of the authority to a file, and returns the path.
    pub fn certificate(&self) -> String {
        self.file("authority", &self.issuer.pem())
    }

    /// Writes the certificate and the key of a client to files, and returns their paths.
    pub fn client(&self) -> [String; 2] {
        let (certificate, key) = self.vouch("the service");
        [self.file("client", &certificate.pem()), self.file("key", &key.serialize_pem())]
    }

    fn file(&self, name: &str, pem: &str) -> String {
        let path = self.directory.join(format!("{name}.pem"));
        std::fs::write(&path, pem).expect("writable");
        path.display().to_string()
    }

    fn vouch(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key is made");
        let params = CertificateParams::new([name.to_owned()]).expect("a good name");
        (params.signed_by(&key, &self.issuer).expect("it signs"), key)
    }

    /// Listens for TLS on a free port, and forwards connections to a peer. Returns the address.
    pub async fn before(&self, peer: SocketAddr, admits: Admits) -> SocketAddr {
        let (certificate, key) = self.vouch("127.0.0.1");
        let provider = Arc::new(default_provider());
        let config =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let mut config = config
            .expect("the provider has them")
            .with_client_cert_verifier(self.doorkeeper(admits))
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("they belong together");
        config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let place = listener.local_addr().expect("it listens");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await?;
                    let mut inner = TcpStream::connect(peer).await?;
                    tokio::io::copy_bidirectional(&mut outer, &mut inner).await
                });
            }
        });
        place
    }

    fn doorkeeper(&self, admits: Admits) -> Arc<dyn ClientCertVerifier> {
        if admits == Admits::All {
            return WebPkiClientVerifier::no_client_auth();
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::clone(self.issuer.der())).expect("a certificate");
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
            .build()
            .expect("there is an authority")
    }
}
