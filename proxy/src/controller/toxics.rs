//! The toxics of proxies: added, changed and removed without waiting for a connection.

use sabot_toxics::ToxicSpec;

use super::Controller;
use crate::model::{ControlError, ToxicPatch, ToxicView};
use crate::proxy;

impl Controller {
    /// Adds a toxic at the end of its chain; live connections have it at once.
    ///
    /// # Errors
    /// No such proxy, the name is taken, or a field cannot be what it is.
    pub fn add_toxic(&self, proxy: &str, spec: ToxicSpec) -> Result<ToxicView, ControlError> {
        let proxy = self.find(proxy)?;
        let entry = proxy.add_toxic(&self.inner.shell, spec)?;
        self.inner.expiry.ends(proxy::lease_end(&entry));
        Ok(proxy::view(&entry))
    }

    /// One toxic.
    ///
    /// # Errors
    /// No such proxy or toxic, or [`ControlError::Injected`]: only an injected fault has the
    /// name. The same holds for changing and removing.
    pub fn toxic(&self, proxy: &str, toxic: &str) -> Result<ToxicView, ControlError> {
        self.find(proxy)?.toxic(toxic)
    }

    /// Changes a toxic; what its kind and direction are stays.
    ///
    /// # Errors
    /// No such proxy or toxic, or a field cannot be what it is; nothing changed then.
    pub fn update_toxic(
        &self,
        proxy: &str,
        toxic: &str,
        patch: ToxicPatch,
    ) -> Result<ToxicView, ControlError> {
        let proxy = self.find(proxy)?;
        let entry = proxy.update_toxic(toxic, patch)?;
        self.inner.expiry.ends(proxy::lease_end(&entry));
        Ok(proxy::view(&entry))
    }

    /// Removes a toxic; what it holds is handed on at once.
    ///
    /// # Errors
    /// No such proxy or toxic.
    pub fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), ControlError> {
        self.find(proxy)?.remove_toxic(toxic)
    }
}
