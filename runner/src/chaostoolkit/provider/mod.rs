//! How an activity is done: one file for each way, and a line in the list below.

mod http;
mod process;
mod prometheus;
mod python;
mod toxiproxy;

use std::sync::{Mutex, PoisonError};

use sabot_toxics::Invalid;
use serde_json::{Map, Value};

use super::check::{Object, optional_object, text};
use super::scope::Scope;
use super::settings::Said;
use toxiproxy::Leases;
pub(super) use toxiproxy::Server;

/// What activities find around them.
pub(super) struct Around {
    scope: Mutex<Scope>,
    /// The API that Toxiproxy's functions use if the configuration names none.
    pub(super) toxiproxy: Server,
    pub(super) said: Said,
    /// The toxics that have been set.
    pub(super) leases: Leases,
}

impl Around {
    pub(super) fn new(scope: Scope, toxiproxy: Server, said: Said) -> Self {
        Self { scope: Mutex::new(scope), toxiproxy, said, leases: Leases::default() }
    }

    /// The values as they are now.
    pub(super) fn scope(&self) -> Scope {
        self.scope.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the values for all that begins from now on.
    pub(super) fn change(&self, change: impl FnOnce(&mut Scope)) {
        change(&mut self.scope.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

macro_rules! providers {
    ($($(#[doc = $doc:literal])+ $module:ident::$provider:ident,)*) => {
        /// How an activity is done.
        #[derive(Clone, Debug)]
        pub(super) enum Provider {
            $($(#[doc = $doc])+ $provider($module::$provider),)*
        }

        impl Provider {
            /// Does it. Not cancel safe: what was begun may have been carried out.
            ///
            /// # Errors
            /// The activity failed, and why.
            pub(super) async fn run(&self, around: &Around) -> Result<Value, String> {
                match self {
                    $(Self::$provider(provider) => provider.run(around).await,)*
                }
            }
        }
    };
}

providers! {
    /// A request.
    http::Http,
    /// A program.
    process::Process,
    /// A function of `chaostoolkit-toxiproxy`.
    toxiproxy::Toxiproxy,
    /// A function of `chaostoolkit-prometheus`.
    prometheus::Prometheus,
}

impl Provider {
    /// Reads the `provider` of an activity.
    ///
    /// # Errors
    /// The field that is missing or cannot be carried out.
    pub(super) fn read(activity: &Object) -> Result<Self, Invalid> {
        let provider = optional_object(activity, "provider")?;
        let provider = provider.ok_or_else(|| Invalid::new("provider", "is missing"))?;
        Self::read_object(provider).map_err(|error| error.within("provider"))
    }

    fn read_object(provider: &Object) -> Result<Self, Invalid> {
        match text(provider, "type")? {
            "http" => http::Http::read(provider).map(Self::Http),
            "process" => process::Process::read(provider).map(Self::Process),
            "python" => python::read(provider),
            other => {
                let message = format!("`{other}` is not known, known are: http, process, python");
                Err(Invalid::new("type", message))
            }
        }
    }

    /// Reads the provider of a tolerance, which is given a value.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if it could not take one.
    pub(super) fn read_judge(activity: &Object) -> Result<Self, Invalid> {
        let mut provider = Self::read(activity)?;
        match provider.arguments() {
            Some(Value::Null | Value::Object(_)) => Ok(provider),
            Some(_) => {
                let message = "must be an object: the value is put into it as `value`";
                Err(Invalid::new("provider.arguments", message))
            }
            None => {
                let message =
                    "takes no `value`: judge by `http` or `process`, or by a tolerance of another type";
                Err(Invalid::new("provider.func", message))
            }
        }
    }

    /// Whether it finds `value` fine: it was carried out, and gave something.
    pub(super) async fn judge(&self, value: &Value, around: &Around) -> bool {
        let mut judge = self.clone();
        if let Some(arguments) = judge.arguments() {
            if arguments.is_null() {
                *arguments = Value::Object(Map::new());
            }
            if let Some(arguments) = arguments.as_object_mut() {
                arguments.insert("value".to_owned(), value.clone());
            }
        }
        judge.run(around).await.is_ok()
    }

    /// The arguments of those that take any.
    fn arguments(&mut self) -> Option<&mut Value> {
        match self {
            Self::Http(http) => Some(&mut http.arguments),
            Self::Process(process) => Some(&mut process.arguments),
            Self::Toxiproxy(_) | Self::Prometheus(_) => None,
        }
    }
}
