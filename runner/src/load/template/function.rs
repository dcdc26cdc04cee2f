//! The functions of templates.

use std::fmt::Write as _;

use sabot_toxics::Draws;

use crate::load::mix::{MOST, Mix};

/// What a place in a template draws.
#[derive(Clone, Debug)]
pub(super) enum Function {
    /// A whole number, both ends included.
    Int { from: i64, to: i64 },
    /// A number with three decimals.
    Float { from: f64, to: f64 },
    /// A random UUID (version 4).
    Uuid,
    /// Hexadecimal digits.
    Hex { digits: usize },
    /// Letters and digits.
    Text { length: usize },
    /// One of these words.
    Choice { words: Vec<String> },
    /// A whole number from 1 on, small ones more often.
    Zipf { mix: Mix },
}

/// The functions, and how each is called.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("choice", "{{choice red green blue}}"),
    ("env", "{{env NAME}}"),
    ("float", "{{float 0.5 2}}"),
    ("hex", "{{hex 16}}"),
    ("int", "{{int 1 1000}}"),
    ("seq", "{{seq}}"),
    ("string", "{{string 12}}"),
    ("tenant", "{{tenant}}"),
    ("uuid", "{{uuid}}"),
    ("zipf", "{{zipf 1000 1.1}}"),
];

/// A request's text is built in memory.
const LONGEST: usize = 1 << 20;

impl Function {
    /// Reads a call. None: there is no such function.
    pub(super) fn parse(name: &str, args: &[&str]) -> Option<Result<Self, String>> {
        let parsed = match name {
            "int" => two(args).and_then(|(from, to): (i64, i64)| {
                if from <= to { Ok(Self::Int { from, to }) } else { Err("its range is empty".to_owned()) }
            }),
            "float" => two(args).and_then(|(from, to): (f64, f64)| {
                if from <= to && (to - from).is_finite() {
                    Ok(Self::Float { from, to })
                } else {
                    Err("its range is empty".to_owned())
                }
            }),
            "uuid" if args.is_empty() => Ok(Self::Uuid),
            "uuid" => Err("it takes no argument".to_owned()),
            "hex" => length(args).map(|digits| Self::Hex { digits }),
            "string" => length(args).map(|length| Self::Text { length }),
            "choice" if args.is_empty() => Err("it needs words to choose from".to_owned()),
            "choice" => Ok(Self::Choice { words: args.iter().map(|&word| word.to_owned()).collect() }),
            "zipf" => two(args).and_then(|(count, exponent): (f64, f64)| {
                let whole = count.fract() == 0.0 && (1.0..=MOST as f64).contains(&count);
                if !whole || !(0.0..=10.0).contains(&exponent) {
                    return Err(format!("it takes a count up to {MOST} and an exponent from 0 to 10"));
                }
                let mix = Mix::zipf(count as u64, exponent).ok_or("its weights are all 0")?;
                Ok(Self::Zipf { mix })
            }),
            _ => return None,
        };
        Some(parsed)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int { .. } | Self::Float { .. } | Self::Zipf { .. })
    }

    /// Appends one value.
    pub(super) fn write(&self, draws: &mut Draws, out: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Int { from, to } => {
                let span = to.wrapping_sub(*from) as u64;
                // The whole range of 64 bits has one value more than fits a bound.
                let drawn = draws.below(span.saturating_add(1));
                write!(out, "{}", from.wrapping_add(drawn as i64))
            }
            Self::Float { from, to } => write!(out, "{:.3}", from + (to - from) * draws.unit()),
            Self::Uuid => uuid(draws, out),
            Self::Hex { digits } => {
                letters(b"0123456789abcdef", *digits, draws, out);
                Ok(())
            }
            Self::Text { length } => {
                letters(
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                    *length,
                    draws,
                    out,
                );
                Ok(())
            }
            Self::Choice { words } => {
                let at = draws.below(words.len() as u64) as usize;
                out.push_str(words.get(at).map_or("", String::as_str));
                Ok(())
            }
            Self::Zipf { mix } => write!(out, "{}", mix.draw(draws) + 1),
        };
    }
}

fn uuid(draws: &mut Draws, out: &mut String) -> std::fmt::Result {
    let (high, low) = (draws.below(u64::MAX), draws.below(u64::MAX));
    // RFC 9562: version 4 in bits 48–51, variant 10 in bits 64 and 65.
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    write!(
        out,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn letters(alphabet: &[u8], count: usize, draws: &mut Draws, out: &mut String) {
    out.extend((0..count).map(|_| char::from(alphabet[draws.below(alphabet.len() as u64) as usize])));
}

fn two<T: std::str::FromStr>(args: &[&str]) -> Result<(T, T), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number that it takes"));
    match args {
        [from, to] => Ok((number(from)?, number(to)?)),
        _ => Err(format!("it takes two numbers, not {}", args.len())),
    }
}

fn length(args: &[&str]) -> Result<usize, String> {
    let [length] = args else { return Err(format!("it takes a length, not {} arguments", args.len())) };
    let length = length.parse().ok().filter(|length| (1..=LONGEST).contains(length));
    length.ok_or_else(|| format!("its length must lie between 1 and {LONGEST}"))
}
