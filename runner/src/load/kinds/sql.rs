//! Statements of SQL, to PostgreSQL.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use futures_util::TryStreamExt;
use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::Kind;
use crate::load::code::Code;
use crate::load::engine::call::{Answer, Call, Sent};
use crate::load::engine::dial::{NoConnection, dial};
use crate::load::engine::lane::AnyCall;
use crate::load::engine::pool::Connection;
use crate::load::engine::wire::Marks;
use crate::load::plan::Class;
use crate::load::ready::Compile;
use crate::load::target::Target;
use crate::load::template::{Escape, Template, Values};
use crate::outcome::Fate;

/// A statement of SQL, prepared once on each connection. An error of the server is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The statement, with `$1`, `$2` for its parameters. No template: what changes is a parameter.
    pub statement: String,
    /// The parameters, as text that the server turns into their types; templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

impl Kind for Sql {
    const NAME: &'static str = "sql";

    fn label(&self) -> String {
        self.statement.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn class(&self) -> Class {
        let verb = self.statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if ["SELECT", "SHOW", "TABLE", "VALUES"].contains(&verb.as_str()) {
            Class::Read
        } else {
            Class::Write
        }
    }

    fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid> {
        let target = cx.target(&["postgres", "postgresql"])?;
        let config: Config = target.url.parse().map_err(|error| {
            Invalid::new(
                "target",
                format!("{error}: write it as postgres://user:password@localhost:5432/database"),
            )
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(Invalid::new(
                "target",
                "asks for TLS, which statements are not sent over: leave sslmode out",
            ));
        }
        if self.statement.trim().is_empty() {
            return Err(Invalid::new("statement", "must not be empty"));
        }
        if self.statement.contains("{{") {
            let message = "is no template: write $1 and give what changes in `parameters`";
            return Err(Invalid::new("statement", message));
        }
        let mut scope = cx.scope();
        let read =
            |(at, text): (usize, &String)| scope.read(&format!("parameters[{at}]"), text, Escape::None);
        let parameters = self.parameters.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let reads = Kind::class(self) == Class::Read;
        Ok(Arc::new(SqlCall { target, config, statement: self.statement.clone(), parameters, reads }))
    }
}

/// An endpoint's statements.
struct SqlCall {
    target: Target,
    config: Config,
    statement: String,
    parameters: Vec<Template>,
    reads: bool,
}

/// A connection to PostgreSQL.
pub(crate) struct SqlConnection {
    client: Client,
    prepared: RefCell<BTreeMap<String, Statement>>,
    marks: Rc<Marks>,
    task: AbortHandle,
}

impl Connection for SqlConnection {
    fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }
}

impl Drop for SqlConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Call for SqlCall {
    type Connection = SqlConnection;

    fn pool_key(&self) -> String {
        format!("sql {}", self.target.url)
    }

    fn multiplexed(&self) -> Option<bool> {
        Some(false)
    }

    fn is_idempotent(&self) -> bool {
        self.reads
    }

    fn connect(&self) -> impl Future<Output = Result<SqlConnection, NoConnection>> + 'static {
        let (target, config) = (self.target.clone(), self.config.clone());
        async move {
            let stream = dial(&target, None).await?;
            let marks = stream.marks();
            let (client, connection) = config
                .connect_raw(stream, NoTls)
                .await
                .map_err(|error| NoConnection::because(told(&error)))?;
            // What goes wrong with it is told to the request on it.
            let task = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
            Ok(SqlConnection { client, prepared: RefCell::default(), marks, task })
        }
    }

    async fn send(&self, connection: &SqlConnection, values: &Values<'_>, _: &Sent) -> Answer {
        match self.exchange(connection, values).await {
            Ok(()) => Answer::told(true, Code::word("OK")),
            Err(error) => match error.code() {
                Some(state) => {
                    let refused = Answer::refused(Code::word(state.code()), &told(&error));
                    Answer { keep: connection.is_open(), ..refused }
                }
                None => {
                    let io = error.source().is_some_and(<dyn Error>::is::<std::io::Error>);
                    Answer::broken(if error.is_closed() || io { Fate::Reset } else { Fate::Protocol })
                }
            },
        }
    }

    fn show(&self, values: &Values<'_>) -> Vec<u8> {
        let parameters: Vec<String> = self.parameters.iter().map(|text| text.text(values)).collect();
        format!("{}\n{}\n", self.statement, serde_json::Value::from(parameters)).into_bytes()
    }
}

impl SqlCall {
    async fn exchange(
        &self,
        connection: &SqlConnection,
        values: &Values<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        let known = connection.prepared.borrow().get(&self.statement).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = connection.client.prepare(&self.statement).await?;
                connection.prepared.borrow_mut().insert(self.statement.clone(), statement.clone());
                statement
            }
        };
        if statement.params().len() != self.parameters.len() {
            // The library panics; the server would say this.
            return connection.client.batch_execute("DO $$ BEGIN RAISE SQLSTATE '08P01'; END $$").await;
        }
        let parameters = self.parameters.iter().map(|text| Text(text.text(values)));
        let mut rows = pin!(connection.client.query_raw(&statement, parameters).await?);
        while rows.try_next().await?.is_some() {}
        Ok(())
    }
}

/// What the server said, or what else went wrong.
fn told(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("{}: {}", said.severity(), said.message()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// A parameter as text, whatever its type.
#[derive(Debug)]
struct Text(String);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
