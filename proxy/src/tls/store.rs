//! The CA of a controller: opened when somebody first needs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::ca::{Authority, CaError};

/// Where the CA of a controller comes from; opened when somebody first needs it.
pub(crate) struct Store {
    directory: Option<PathBuf>,
    crl_url: Option<String>,
    opened: Mutex<Option<Arc<Authority>>>,
}

impl Store {
    pub(crate) fn new(directory: Option<PathBuf>, api_url: Option<&str>) -> Self {
        let crl_url = api_url.map(|url| format!("{url}/v1/ca/crl"));
        Self { directory, crl_url, opened: Mutex::default() }
    }

    /// One that has this CA.
    pub(super) fn with(authority: Arc<Authority>) -> Self {
        Self { directory: None, crl_url: None, opened: Mutex::new(Some(authority)) }
    }

    /// The CA if somebody has needed it.
    pub(super) fn opened(&self) -> Option<Arc<Authority>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The CA, made if there is none yet.
    pub(crate) fn get(&self) -> Result<Arc<Authority>, CaError> {
        self.find(|directory| match directory {
            Some(directory) => {
                let (authority, made) = Authority::open(directory)?;
                if made {
                    tracing::info!(directory = %directory.display(), "made a CA; `sabot ca trust-help` says how to trust it");
                }
                Ok(Some(authority))
            }
            None => {
                tracing::info!("made a CA that ends with this process: it has no directory to be kept in");
                Authority::in_memory().map(Some)
            }
        })?
        .ok_or_else(|| CaError::Signing("there is no CA".to_owned()))
    }

    /// The CA if there is one.
    pub(super) fn existing(&self) -> Result<Option<Arc<Authority>>, CaError> {
        self.find(|directory| directory.map_or(Ok(None), Authority::load))
    }

    fn find(
        &self,
        open: impl FnOnce(Option<&Path>) -> Result<Option<Authority>, CaError>,
    ) -> Result<Option<Arc<Authority>>, CaError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none()
            && let Some(mut authority) = open(self.directory.as_deref())?
        {
            authority.crl_url.clone_from(&self.crl_url);
            *opened = Some(Arc::new(authority));
        }
        Ok(opened.clone())
    }
}
