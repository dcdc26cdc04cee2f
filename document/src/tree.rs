//! A document with the places of its parts, whatever its format.

use serde_json::Value;

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

/// Where a part stands, as its parser tells it. Lines are counted only for a place that is asked
/// for: for every part of a file that would take the square of its length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Offset(usize),
    Position(Position),
}

impl At {
    pub(crate) fn position(self, text: &str) -> Position {
        match self {
            Self::Offset(offset) => Position::of(text, offset),
            Self::Position(position) => position,
        }
    }
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Option<At>,
    pub(crate) data: Data,
}

#[derive(Debug)]
pub(crate) enum Data {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_at: Option<At>,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(list) => list.iter().map(Self::to_value).collect(),
            Data::Map(members) => {
                members.iter().map(|member| (member.key.clone(), member.node.to_value())).collect()
            }
        }
    }

    /// The same tree with every text put through `change`; what it refuses, with its place.
    pub(crate) fn map_texts(
        &self,
        change: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, (Option<At>, String)> {
        let data = match &self.data {
            Data::Scalar(Value::String(text)) => {
                Data::Scalar(Value::String(change(text).map_err(|message| (self.at, message))?))
            }
            Data::Scalar(value) => Data::Scalar(value.clone()),
            Data::List(list) => {
                Data::List(list.iter().map(|node| node.map_texts(change)).collect::<Result<_, _>>()?)
            }
            Data::Map(members) => {
                let member = |member: &Member| {
                    let node = member.node.map_texts(change)?;
                    Ok(Member { key: member.key.clone(), key_at: member.key_at, node })
                };
                Data::Map(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { at: self.at, data })
    }

    /// The place of a path such as `proxies[0].toxics[1].type`, or of what of
    /// it there is; with `of_key` that of the last key instead of its value.
    pub(crate) fn locate(&self, path: &str, of_key: bool) -> Option<At> {
        let mut place = Place { node: self, key_at: None };
        let mut rest = path;
        while let Some((next, after)) = place.node.step(rest) {
            (place, rest) = (next, after);
        }
        if of_key { place.key_at.or(place.node.at) } else { place.node.at.or(place.key_at) }
    }

    /// The part that `path` begins with, and what is left of the path.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(Place<'n>, &'p str)> {
        match &self.data {
            Data::List(list) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let node = list.get(index.parse::<usize>().ok()?)?;
                Some((Place { node, key_at: None }, rest))
            }
            Data::Map(members) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let fits = |member: &&Member| {
                    path.strip_prefix(&member.key)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                // Keys may hold dots themselves: the longest that fits is meant.
                let member = members.iter().filter(fits).max_by_key(|member| member.key.len())?;
                let place = Place { node: &member.node, key_at: member.key_at };
                Some((place, &path[member.key.len()..]))
            }
            Data::Scalar(_) => None,
        }
    }
}

struct Place<'n> {
    node: &'n Node,
    key_at: Option<At>,
}
