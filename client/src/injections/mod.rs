//! The calls of injections: asked for, followed, ended, and what the audit says of them.

pub(crate) mod types;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::path::{query, root, v1};
use crate::{Client, Error, Events};
use types::{Audit, AuditEvent, Halted, Injection, Listed, OnAt, Schedule, Verified, Which};

impl Client {
    /// Breaks something: a [`NewInjection`](crate::NewInjection), or JSON of that form. It is on when this returns,
    /// unless its state is `pending` or `approved`.
    ///
    /// # Errors
    /// 400 for a part that is missing or bad, 409 if it collides or nothing may run now, 502 if it cannot be put
    /// on, 503 if it cannot be journalled.
    pub async fn inject<T: Serialize + ?Sized>(&self, injection: &T) -> Result<Injection, Error> {
        self.http.send(Method::POST, &root(&["injections"]), injection).await
    }

    /// Those that are meant, or the first of them.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn injections(&self, which: &Which) -> Result<Listed, Error> {
        let asked = query(&[
            ("state", which.state.clone()),
            ("service", which.service.clone()),
            ("limit", which.limit.map(|limit| limit.to_string())),
        ]);
        self.http.get(&(root(&["injections"]) + &asked)).await
    }

    /// One injection.
    ///
    /// # Errors
    /// 404 if there is none of that name; else as every call.
    pub async fn injection(&self, id: &str) -> Result<Injection, Error> {
        self.http.get(&root(&["injections", id])).await
    }

    /// Takes an injection back; the fault is off when this returns.
    ///
    /// # Errors
    /// 404 if there is none, 409 if it is over; 500 if it is done and could not be journalled yet.
    pub async fn revert_injection(&self, id: &str) -> Result<Injection, Error> {
        let path = root(&["injections", id]);
        self.http.answered(Method::DELETE, &path).await
    }

    /// Takes all injections back; which they were.
    ///
    /// # Errors
    /// 500 if it is done and could not be journalled yet; else as every call.
    pub async fn halt(&self) -> Result<Halted, Error> {
        self.http.answered(Method::POST, &root(&["injections", "halt"])).await
    }

    /// A second person approves; whom a token names needs no name here.
    ///
    /// # Errors
    /// 403 if it is no second person, 404 if there is none, 409 if it does not wait for it.
    pub async fn approve_injection(&self, id: &str, approver: Option<&str>) -> Result<Injection, Error> {
        let body = json!({ "approver": approver });
        self.http.send(Method::POST, &root(&["injections", id, "approve"]), &body).await
    }

    /// The lease of an injection begins anew.
    ///
    /// # Errors
    /// 400 if it has none, 404 if there is no such injection, 409 if it does not run.
    pub async fn renew_injection(&self, id: &str) -> Result<Injection, Error> {
        self.http.answered(Method::POST, &root(&["injections", id, "renew"])).await
    }

    /// What happens to injections from now on: events such as `injection.started`, whose data has the `injection`.
    ///
    /// # Errors
    /// 503 if too many follow; else as every call.
    pub async fn injection_events(&self) -> Result<Events, Error> {
        let path = root(&["injections", "events"]);
        Ok(Events::new(path.clone(), self.http.stream(&path).await?))
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn schedules(&self) -> Result<Vec<Schedule>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            schedules: Vec<Schedule>,
        }
        let answer: Answer = self.http.get(&v1(&["schedules"])).await?;
        Ok(answer.schedules)
    }

    /// Adds a schedule: `when` is `@every 6h`, or five fields of cron and a time zone.
    ///
    /// # Errors
    /// 400 for a bad field, 409 if there is one of that name.
    pub async fn add_schedule<T: Serialize + ?Sized>(
        &self,
        name: &str,
        when: &str,
        injection: &T,
    ) -> Result<Schedule, Error> {
        #[derive(Serialize)]
        struct New<'a, T: ?Sized> {
            name: &'a str,
            when: &'a str,
            injection: &'a T,
        }
        self.http.send(Method::POST, &v1(&["schedules"]), &New { name, when, injection }).await
    }

    /// Removes a schedule; what it has started goes on.
    ///
    /// # Errors
    /// 404 if there is none of that name; 500 if it is gone and that could not be journalled yet; else as every call.
    pub async fn remove_schedule(&self, name: &str) -> Result<(), Error> {
        self.http.empty(Method::DELETE, &v1(&["schedules", name])).await
    }

    /// What happened, the oldest first: the newest that are meant or, with `after`, the first behind that place.
    ///
    /// # Errors
    /// 400 for a time that cannot be read, 503 if the journal cannot; else as every call.
    pub async fn audit(&self, audit: &Audit) -> Result<Vec<AuditEvent>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            events: Vec<AuditEvent>,
        }
        let asked = query(&[
            ("since", audit.since.clone()),
            ("until", audit.until.clone()),
            ("who", audit.who.clone()),
            ("action", audit.action.clone()),
            ("subject", audit.subject.clone()),
            ("after", audit.after.map(|after| after.to_string())),
            ("limit", audit.limit.map(|limit| limit.to_string())),
        ]);
        let answer: Answer = self.http.get(&(v1(&["audit"]) + &asked)).await?;
        Ok(answer.events)
    }

    /// Whether the audit is as it was written. All of it is read, which the time limit of this client has to
    /// allow for: a million events take some seconds.
    ///
    /// # Errors
    /// 503 if the journal cannot be read; else as every call.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        self.http.get(&v1(&["audit", "verify"])).await
    }

    /// Which injections were on at a moment: RFC 3339, or `02:47`, the last time that it was so late in UTC.
    ///
    /// # Errors
    /// 400 for a time that cannot be read, 503 if the journal cannot; else as every call.
    pub async fn audit_at(&self, time: &str) -> Result<OnAt, Error> {
        self.http.get(&(v1(&["audit", "at"]) + &query(&[("time", Some(time.to_owned()))]))).await
    }
}
