//! TLS, where the server has a certificate.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds nothing that can be used.
    #[error("cannot read {what} in {}: {message}", path.display())]
    Read {
        /// A certificate or a key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// They do not go together.
    #[error("the certificate in {} cannot be used with the key in {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// Reads a chain of certificates and its key, both in PEM.
///
/// # Errors
///
/// [`TlsError`], where a file cannot be read, or they do not go together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| error.to_string()).and_then(|chain| {
        if chain.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(chain) }
    });
    let chain = chain.map_err(|message| TlsError::Read {
        what: "certificates",
        path: certificate.to_path_buf(),
        message,
    })?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Read {
        what: "a private key",
        path: key.to_path_buf(),
        message: error.to_string(),
    })?;
    let pair =
        |source| TlsError::Pair { certificate: certificate.to_path_buf(), key: key.to_path_buf(), source };
    let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, secret).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a handshake that takes too long is told as.
pub(crate) fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")
}
