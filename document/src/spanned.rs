//! YAML and TOML with places: both parsers tell them, each in its own type.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::tree::{At, Data, Member, Node, Position};

type Refused = (Option<Position>, String);

pub(crate) fn yaml(text: &str) -> Result<Node, Refused> {
    match serde_saphyr::from_str::<serde_saphyr::Spanned<Tree<Yaml>>>(text) {
        Ok(tree) => {
            let (Tree { data, .. }, mark) = Yaml::split(tree);
            Ok(node(data, &mark, &|mark| yaml_position(mark).map(At::Position)))
        }
        Err(error) => {
            let position = error.location().and_then(|at| yaml_position(&at));
            let plain = error.without_snippet().to_string();
            let message = plain.split(" at line ").next().unwrap_or_default();
            // What the library's own callers could do about it is nothing for who wrote the file.
            let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
            Err((position, format!("not YAML: {message}")))
        }
    }
}

pub(crate) fn toml(text: &str) -> Result<Node, Refused> {
    match toml::from_str::<toml::Spanned<Tree<Toml>>>(text) {
        Ok(tree) => {
            let (Tree { data, .. }, mark) = Toml::split(tree);
            Ok(node(data, &mark, &|offset| Some(At::Offset(*offset))))
        }
        Err(error) => {
            let position = error.span().map(|span| Position::of(text, span.start));
            Err((position, format!("not TOML: {}", error.message())))
        }
    }
}

fn yaml_position(at: &serde_saphyr::Location) -> Option<Position> {
    let (line, column) = (at.line() as usize, at.column() as usize);
    (line > 0).then_some(Position { line, column: column.max(1) })
}

/// A parser's way to say where a value stands.
trait Marks: Sized {
    type Spanned<T: DeserializeOwned>: DeserializeOwned;
    type Mark;
    fn split<T: DeserializeOwned>(spanned: Self::Spanned<T>) -> (T, Self::Mark);
}

struct Yaml;

impl Marks for Yaml {
    type Spanned<T: DeserializeOwned> = serde_saphyr::Spanned<T>;
    type Mark = serde_saphyr::Location;

    fn split<T: DeserializeOwned>(spanned: Self::Spanned<T>) -> (T, Self::Mark) {
        (spanned.value, spanned.referenced)
    }
}

struct Toml;

impl Marks for Toml {
    type Spanned<T: DeserializeOwned> = toml::Spanned<T>;
    type Mark = usize;

    fn split<T: DeserializeOwned>(spanned: Self::Spanned<T>) -> (T, Self::Mark) {
        let start = spanned.span().start;
        (spanned.into_inner(), start)
    }
}

/// A document as its parser gives it.
struct Tree<M: Marks> {
    data: Shape<M>,
    marks: PhantomData<M>,
}

enum Shape<M: Marks> {
    Scalar(Value),
    List(Vec<(Tree<M>, M::Mark)>),
    Map(Vec<Pair<M>>),
}

type Pair<M> = ((String, <M as Marks>::Mark), (Tree<M>, <M as Marks>::Mark));

fn node<M: Marks>(data: Shape<M>, mark: &M::Mark, at: &dyn Fn(&M::Mark) -> Option<At>) -> Node {
    let data = match data {
        Shape::Scalar(value) => Data::Scalar(value),
        Shape::List(list) => {
            Data::List(list.into_iter().map(|(tree, mark)| node(tree.data, &mark, at)).collect())
        }
        Shape::Map(pairs) => {
            let member = |((key, key_mark), (tree, mark)): Pair<M>| Member {
                key,
                key_at: at(&key_mark),
                node: node(tree.data, &mark, at),
            };
            Data::Map(pairs.into_iter().map(member).collect())
        }
    };
    Node { at: at(mark), data }
}

impl<'de, M: Marks> Deserialize<'de> for Tree<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let data = deserializer.deserialize_any(Reader(PhantomData))?;
        Ok(Self { data, marks: PhantomData })
    }
}

struct Reader<M>(PhantomData<M>);

impl<'de, M: Marks> Visitor<'de> for Reader<M> {
    type Value = Shape<M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        // JSON has no infinity; what cannot be a number there is text here.
        let value =
            serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number);
        Ok(Shape::Scalar(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Shape::Scalar(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<M::Spanned<Tree<M>>>()? {
            list.push(M::split(item));
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = entries.next_key::<M::Spanned<String>>()? {
            let value = entries.next_value::<M::Spanned<Tree<M>>>()?;
            pairs.push((M::split(key), M::split(value)));
        }
        Ok(Shape::Map(pairs))
    }
}
