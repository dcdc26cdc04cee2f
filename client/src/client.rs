//! The calls.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::http::Http;
use crate::path::v1;
use crate::types::{Connection, Kind, NewProxy, NewToxic, Proxy, ProxyPatch, Toxic, ToxicPatch, Version};
use crate::{Error, Events, Traffic, Trust, traffic};

/// A client of one Sabot server. Cheap to clone; clones share connections.
///
/// Dropping the future of a call abandons the call; whether the server still
/// carried it out is then unknown.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: Http,
}

impl Client {
    /// A client of the API at `url`, such as `http://localhost:8474`; `http://`
    /// may be left out. Nothing is connected yet. A password in it is shown as a token,
    /// and appears in no error.
    ///
    /// # Errors
    /// The URL cannot be read, or asks for something other than http or https.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::with_trust(url, &Trust::default())
    }

    /// The same, with other servers believed over https.
    ///
    /// # Errors
    /// As [`Client::new`], or the file of CAs cannot be read.
    pub fn with_trust(url: &str, trust: &Trust) -> Result<Self, Error> {
        Ok(Self { http: Http::new(url, trust)? })
    }

    /// The same client with another time limit for each call.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.http.set_timeout(limit);
        self
    }

    /// The same client, showing this token with each call; it stands in for one in the URL.
    ///
    /// # Errors
    /// It holds what no token can.
    pub fn with_token(mut self, token: &str) -> Result<Self, Error> {
        self.http.set_token(token)?;
        Ok(self)
    }

    /// The token that it shows, to be shown to the same server by other means.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.http.token()
    }

    /// The same client, saying who asks: what the server's audit shows where it knows no tokens. What is no header
    /// (a line break, say) is not said.
    #[must_use]
    pub fn with_actor(mut self, who: &str) -> Self {
        self.http.set_actor(who);
        self
    }

    /// The API's URL, without what stands before the host's name.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// Who answers there.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn version(&self) -> Result<Version, Error> {
        self.http.get(&v1(&["version"])).await
    }

    /// All kinds of toxics that the server knows.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn kinds(&self) -> Result<Vec<Kind>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            kinds: Vec<Kind>,
        }
        let answer: Answer = self.http.get(&v1(&["kinds"])).await?;
        Ok(answer.kinds)
    }

    /// All proxies, sorted by name.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            proxies: Vec<Proxy>,
        }
        let answer: Answer = self.http.get(&v1(&["proxies"])).await?;
        Ok(answer.proxies)
    }

    /// One proxy.
    ///
    /// # Errors
    /// 404 if there is none of that name; else as every call.
    pub async fn proxy(&self, name: &str) -> Result<Proxy, Error> {
        self.http.get(&v1(&["proxies", name])).await
    }

    /// Creates a proxy; its `listen` in the answer is the resolved address.
    ///
    /// # Errors
    /// 400 for a bad field, 409 if the name is taken, 500 if it cannot listen.
    pub async fn create_proxy(&self, proxy: &NewProxy) -> Result<Proxy, Error> {
        self.http.send(Method::POST, &v1(&["proxies"]), proxy).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// As [`Client::create_proxy`], and 404.
    pub async fn update_proxy(&self, name: &str, patch: &ProxyPatch) -> Result<Proxy, Error> {
        self.http.send(Method::PATCH, &v1(&["proxies", name]), patch).await
    }

    /// Removes a proxy and closes its connections.
    ///
    /// # Errors
    /// 404 if there is none of that name; else as every call.
    pub async fn delete_proxy(&self, name: &str) -> Result<(), Error> {
        self.http.empty(Method::DELETE, &v1(&["proxies", name])).await
    }

    /// The certificate of the server's CA, in PEM.
    ///
    /// # Errors
    /// 500 if the server has no place for a CA; else as every call.
    pub async fn ca(&self) -> Result<String, Error> {
        self.http.text(&v1(&["ca"])).await
    }

    /// Enables every proxy and removes every toxic.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn reset(&self) -> Result<(), Error> {
        self.http.empty(Method::POST, &v1(&["reset"])).await
    }

    /// Adds a toxic at the end of its direction's chain.
    ///
    /// # Errors
    /// 400 for a bad field, 404 without the proxy, 409 if the name is taken.
    pub async fn add_toxic(&self, proxy: &str, toxic: &NewToxic) -> Result<Toxic, Error> {
        self.http.send(Method::POST, &v1(&["proxies", proxy, "toxics"]), toxic).await
    }

    /// One toxic.
    ///
    /// # Errors
    /// 404 without the proxy or the toxic; else as every call.
    pub async fn toxic(&self, proxy: &str, toxic: &str) -> Result<Toxic, Error> {
        self.http.get(&v1(&["proxies", proxy, "toxics", toxic])).await
    }

    /// Changes what the patch names; a refused patch changes nothing.
    ///
    /// # Errors
    /// 400 for a bad field, 404 without the proxy or the toxic.
    pub async fn update_toxic(&self, proxy: &str, toxic: &str, patch: &ToxicPatch) -> Result<Toxic, Error> {
        self.http.send(Method::PATCH, &v1(&["proxies", proxy, "toxics", toxic]), patch).await
    }

    /// Removes a toxic; what it held goes on at once.
    ///
    /// # Errors
    /// 404 without the proxy or the toxic; else as every call.
    pub async fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), Error> {
        self.http.empty(Method::DELETE, &v1(&["proxies", proxy, "toxics", toxic])).await
    }

    /// Live connections, of one proxy or of all.
    ///
    /// # Errors
    /// 404 without the proxy; else as every call.
    pub async fn connections(&self, proxy: Option<&str>) -> Result<Vec<Connection>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            connections: Vec<Connection>,
        }
        let path = match proxy {
            Some(name) => v1(&["proxies", name, "connections"]),
            None => v1(&["connections"]),
        };
        let answer: Answer = self.http.get(&path).await?;
        Ok(answer.connections)
    }

    /// Resets both sides of a live connection.
    ///
    /// # Errors
    /// 404 without the proxy or the connection; else as every call.
    pub async fn close_connection(&self, proxy: &str, id: u64) -> Result<(), Error> {
        let path = v1(&["proxies", proxy, "connections", &id.to_string()]);
        self.http.empty(Method::DELETE, &path).await
    }

    /// What happens on a proxy from now on.
    ///
    /// # Errors
    /// 404 without the proxy; else as every call.
    pub async fn events(&self, proxy: &str) -> Result<Events, Error> {
        let path = v1(&["proxies", proxy, "events"]);
        Ok(Events::new(path.clone(), self.http.stream(&path).await?))
    }

    /// The HTTP requests on a proxy from now on, as events `request`.
    ///
    /// # Errors
    /// 404 without the proxy, 400 if it does not speak HTTP; else as every call.
    pub async fn requests(&self, proxy: &str) -> Result<Events, Error> {
        let path = v1(&["proxies", proxy, "requests"]);
        Ok(Events::new(path.clone(), self.http.stream(&path).await?))
    }

    /// Bytes that went through each proxy since the server started, by name.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn traffic(&self) -> Result<BTreeMap<String, Traffic>, Error> {
        Ok(traffic::parse(&self.http.text("/metrics").await?))
    }
}
