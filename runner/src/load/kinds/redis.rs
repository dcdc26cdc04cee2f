//! Commands of Redis.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use rustls::ClientConfig;
use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Kind;
use crate::load::code::Code;
use crate::load::engine::call::{Answer, Call, Sent};
use crate::load::engine::dial::{NoConnection, dial};
use crate::load::engine::lane::AnyCall;
use crate::load::engine::pool::Connection;
use crate::load::engine::wire::{Marks, Stream};
use crate::load::plan::Class;
use crate::load::ready::Compile;
use crate::load::target::Target;
use crate::load::template::parse::words;
use crate::load::template::{Escape, Template, Values};
use crate::outcome::Fate;

/// A command of Redis. An error reply is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// The command: a list of its words, or a line that is split at spaces. Each word is a template.
    pub command: Command,
}

/// A command's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// As a line, split at spaces outside of templates.
    Line(String),
    /// As a list, for words with spaces in them.
    Words(Vec<String>),
}

impl Kind for Redis {
    const NAME: &'static str = "redis";

    fn label(&self) -> String {
        match &self.command {
            Command::Line(line) => line.clone(),
            Command::Words(words) => words.join(" "),
        }
    }

    fn class(&self) -> Class {
        let label = self.label();
        let verb = label.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let reads = [
            "GET",
            "MGET",
            "EXISTS",
            "TTL",
            "PTTL",
            "STRLEN",
            "HGET",
            "HMGET",
            "HGETALL",
            "HLEN",
            "LRANGE",
            "LLEN",
            "SMEMBERS",
            "SISMEMBER",
            "SCARD",
            "ZRANGE",
            "ZSCORE",
            "ZCARD",
            "SCAN",
            "PING",
            "INFO",
            "TYPE",
        ];
        if reads.contains(&verb.as_str()) { Class::Read } else { Class::Write }
    }

    fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid> {
        let target = cx.target(&["redis", "rediss"])?;
        let database = match target.path.trim_start_matches('/') {
            "" => None,
            number => {
                let number: u32 = number.parse().map_err(|_| {
                    Invalid::new("target", "names no database: write it as redis://localhost:6379/0")
                })?;
                Some(number)
            }
        };
        let words = match &self.command {
            Command::Line(line) => words(line),
            Command::Words(words) => words.clone(),
        };
        if words.is_empty() {
            return Err(Invalid::new("command", "must not be empty, such as GET order:{{int 1 1000}}"));
        }
        let mut scope = cx.scope();
        let words =
            words.iter().map(|word| scope.read("command", word, Escape::None)).collect::<Result<_, _>>()?;
        let tls = cx.tls(&target, &[]);
        let reads = Kind::class(self) == Class::Read;
        Ok(Arc::new(RedisCall { target, tls, database, words, reads }))
    }
}

/// A longer reply than this is taken for none: it is read into memory.
const LONGEST: usize = 64 << 20;

/// An endpoint's commands.
struct RedisCall {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    database: Option<u32>,
    words: Vec<Template>,
    reads: bool,
}

/// A connection to Redis.
pub(crate) struct RedisConnection {
    stream: RefCell<Option<(Stream, BytesMut)>>,
    marks: Rc<Marks>,
}

impl Connection for RedisConnection {
    fn is_open(&self) -> bool {
        self.stream.borrow().as_ref().is_some_and(|(stream, _)| stream.is_quiet())
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }
}

impl Call for RedisCall {
    type Connection = RedisConnection;

    fn pool_key(&self) -> String {
        format!("redis {}", self.target.url)
    }

    fn multiplexed(&self) -> Option<bool> {
        Some(false)
    }

    fn is_idempotent(&self) -> bool {
        self.reads
    }

    fn connect(&self) -> impl Future<Output = Result<RedisConnection, NoConnection>> + 'static {
        let (target, tls, database) = (self.target.clone(), self.tls.clone(), self.database);
        async move {
            let mut stream = dial(&target, tls.as_ref()).await?;
            let mut buffer = BytesMut::new();
            let user = target.user.as_deref().filter(|_| target.password.is_some());
            if let Some(password) = &target.password {
                let auth: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password.as_str()]).collect();
                greet(&mut stream, &mut buffer, &auth).await?;
            }
            if let Some(number) = database {
                greet(&mut stream, &mut buffer, &["SELECT", &number.to_string()]).await?;
            }
            let marks = stream.marks();
            Ok(RedisConnection { stream: RefCell::new(Some((stream, buffer))), marks })
        }
    }

    async fn send(&self, connection: &RedisConnection, values: &Values<'_>, _: &Sent) -> Answer {
        // Taken out while it is used: a request that is dropped before its reply takes it along, since
        // the reply would be taken for that of the next.
        let Some((mut stream, mut buffer)) = connection.stream.take() else {
            return Answer { unsent: true, ..Answer::broken(Fate::Reset) };
        };
        let command = encode(self.words.iter().map(|word| word.text(values)));
        match exchange(&mut stream, &mut buffer, &command).await {
            Ok(reply) => {
                connection.stream.replace(Some((stream, buffer)));
                match reply {
                    BytesFrame::Error(error) => {
                        Answer::refused(Code::word(error.split(' ').next().unwrap_or_default()), &error)
                    }
                    _ => Answer::told(true, Code::word("OK")),
                }
            }
            Err(fate) => Answer::broken(fate),
        }
    }

    fn show(&self, values: &Values<'_>) -> Vec<u8> {
        encode(self.words.iter().map(|word| word.text(values))).to_vec()
    }
}

async fn greet(stream: &mut Stream, buffer: &mut BytesMut, words: &[&str]) -> Result<(), NoConnection> {
    match exchange(stream, buffer, &encode(words)).await {
        Ok(BytesFrame::Error(error)) => Err(NoConnection::because(format_args!("{}: {error}", words[0]))),
        Err(_) => Err(NoConnection::because(format_args!("{}: no reply of Redis", words[0]))),
        Ok(_) => Ok(()),
    }
}

/// A command as Redis reads it: an array of bulk strings.
fn encode(words: impl IntoIterator<Item = impl AsRef<str>, IntoIter: ExactSizeIterator>) -> BytesMut {
    let words = words.into_iter();
    let mut out = BytesMut::from(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.put_slice(format!("${}\r\n", word.len()).as_bytes());
        out.put_slice(word.as_bytes());
        out.put_slice(b"\r\n");
    }
    out
}

async fn exchange(stream: &mut Stream, buffer: &mut BytesMut, command: &[u8]) -> Result<BytesFrame, Fate> {
    stream.write_all(command).await.map_err(|_| Fate::Reset)?;
    stream.flush().await.map_err(|_| Fate::Reset)?;
    loop {
        if let Some((reply, ..)) = decode_bytes_mut(buffer).map_err(|_| Fate::Protocol)? {
            return Ok(reply);
        }
        if buffer.len() > LONGEST {
            return Err(Fate::Protocol);
        }
        if stream.read_buf(buffer).await.map_err(|_| Fate::Reset)? == 0 {
            return Err(Fate::Reset);
        }
    }
}
