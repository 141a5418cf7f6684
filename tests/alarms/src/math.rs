//! Metric math, as far as the template uses it ("Using metric math", Amazon CloudWatch User Guide).

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};

/// A value for each period, the oldest first; `None`: nothing was told.
pub(crate) type Series = Vec<Option<f64>>;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    /// A metric of the alarm, by its id.
    Id(String),
    List(Vec<Self>),
    Call(String, Vec<Self>),
    Binary(char, Box<(Self, Self)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Scalar(f64),
    Series(Series),
    List(Vec<Series>),
}

impl Expression {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tokens = tokens(text)?;
        tokens.reverse();
        let parsed = comparison(&mut tokens)?;
        ensure!(tokens.is_empty(), "{text}: more than an expression");
        Ok(parsed)
    }

    /// What it gives for each of `periods` periods.
    pub(crate) fn evaluate(&self, metrics: &BTreeMap<String, Series>, periods: usize) -> anyhow::Result<Series> {
        match self.value(metrics, periods)? {
            Value::Series(series) => Ok(series),
            Value::Scalar(_) | Value::List(_) => bail!("an alarm needs a value for each period"),
        }
    }

    fn value(&self, metrics: &BTreeMap<String, Series>, periods: usize) -> anyhow::Result<Value> {
        Ok(match self {
            Self::Number(number) => Value::Scalar(*number),
            Self::Id(id) => Value::Series(metrics.get(id).with_context(|| format!("no metric {id}"))?.clone()),
            Self::List(items) => {
                Value::List(items.iter().map(|one| one.evaluate(metrics, periods)).collect::<Result<_, _>>()?)
            }
            Self::Binary(operator, sides) => {
                let (left, right) = (sides.0.value(metrics, periods)?, sides.1.value(metrics, periods)?);
                calculate(*operator, &left, &right, periods)?
            }
            Self::Call(function, given) => {
                let given = given.iter().map(|one| one.value(metrics, periods)).collect::<anyhow::Result<Vec<_>>>()?;
                match (function.as_str(), given.as_slice()) {
                    ("METRICS", []) => Value::List(metrics.values().cloned().collect()),
                    ("FILL", [Value::Series(series), Value::Scalar(with)]) => Value::Series(fill(series, *with)),
                    ("FILL", [Value::List(list), Value::Scalar(with)]) => {
                        Value::List(list.iter().map(|series| fill(series, *with)).collect())
                    }
                    ("SUM", [Value::List(list)]) => Value::Series(sum_of(list, periods)),
                    ("IF", [Value::Series(condition), yes, no]) => Value::Series(choose(condition, yes, no)?),
                    _ => bail!("{function} of {given:?} is not known here"),
                }
            }
        })
    }
}

fn fill(series: &Series, with: f64) -> Series {
    series.iter().map(|value| value.or(Some(with))).collect()
}

fn sum_of(list: &[Series], periods: usize) -> Series {
    let told = |at: usize| list.iter().filter_map(move |series| series.get(at).copied().flatten());
    (0..periods).map(|at| told(at).reduce(|a, b| a + b)).collect()
}

fn at(value: &Value, index: usize) -> anyhow::Result<Option<f64>> {
    Ok(match value {
        Value::Scalar(scalar) => Some(*scalar),
        Value::Series(series) => series.get(index).copied().flatten(),
        Value::List(_) => bail!("a list where a value is needed"),
    })
}

fn choose(condition: &Series, yes: &Value, no: &Value) -> anyhow::Result<Series> {
    let chosen = condition.iter().enumerate().map(|(index, condition)| match condition {
        Some(holds) => at(if *holds == 0.0 { no } else { yes }, index),
        None => Ok(None),
    });
    chosen.collect()
}

fn calculate(operator: char, left: &Value, right: &Value, periods: usize) -> anyhow::Result<Value> {
    let of = |a: f64, b: f64| {
        let truth = |holds: bool| f64::from(u8::from(holds));
        Ok(match operator {
            '+' => a + b,
            '-' => a - b,
            '<' => truth(a < b),
            '>' => truth(a > b),
            '≤' => truth(a <= b),
            '≥' => truth(a >= b),
            _ => bail!("{operator} is not known here"),
        })
    };
    if let (Value::Scalar(a), Value::Scalar(b)) = (left, right) {
        return Ok(Value::Scalar(of(*a, *b)?));
    }
    let values = (0..periods).map(|index| match (at(left, index)?, at(right, index)?) {
        (Some(a), Some(b)) => of(a, b).map(Some),
        _ => Ok(None),
    });
    Ok(Value::Series(values.collect::<anyhow::Result<_>>()?))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
}

fn tokens(text: &str) -> anyhow::Result<Vec<Token>> {
    let text = text.replace(">=", "≥").replace("<=", "≤");
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let length = if word == 0 { first.len_utf8() } else { word };
        let (token, after) = rest.split_at(length);
        tokens.push(match first {
            '0'..='9' => Token::Number(token.parse()?),
            _ if word > 0 => Token::Name(token.to_owned()),
            '+' | '-' | '<' | '>' | '≤' | '≥' | '(' | ')' | '[' | ']' | ',' => Token::Sign(first),
            _ => bail!("{first} is not known here"),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

// The tokens are in reverse: the next one is the last.

fn comparison(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    binary(tokens, &['<', '>', '≤', '≥'], sum)
}

fn sum(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    binary(tokens, &['+', '-'], operand)
}

fn binary(
    tokens: &mut Vec<Token>,
    operators: &[char],
    of: fn(&mut Vec<Token>) -> anyhow::Result<Expression>,
) -> anyhow::Result<Expression> {
    let mut left = of(tokens)?;
    while let Some(Token::Sign(sign)) =
        tokens.last().filter(|next| matches!(next, Token::Sign(sign) if operators.contains(sign)))
    {
        let sign = *sign;
        tokens.pop();
        left = Expression::Binary(sign, Box::new((left, of(tokens)?)));
    }
    Ok(left)
}

fn operand(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    Ok(match tokens.pop().context("the expression ends too early")? {
        Token::Number(number) => Expression::Number(number),
        Token::Name(name) if tokens.last() == Some(&Token::Sign('(')) => {
            tokens.pop();
            Expression::Call(name, list(tokens, ')')?)
        }
        Token::Name(name) => Expression::Id(name),
        Token::Sign('[') => Expression::List(list(tokens, ']')?),
        Token::Sign('(') => {
            let inner = comparison(tokens)?;
            ensure!(tokens.pop() == Some(Token::Sign(')')), "a bracket is not closed");
            inner
        }
        Token::Sign(sign) => bail!("{sign} where a value is needed"),
    })
}

fn list(tokens: &mut Vec<Token>, end: char) -> anyhow::Result<Vec<Expression>> {
    let mut items = Vec::new();
    if tokens.last() == Some(&Token::Sign(end)) {
        tokens.pop();
        return Ok(items);
    }
    loop {
        items.push(comparison(tokens)?);
        match tokens.pop() {
            Some(Token::Sign(',')) => {}
            Some(Token::Sign(sign)) if sign == end => return Ok(items),
            other => bail!("{other:?} in a list"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_give_a_value_for_each_period() {
        let metrics = BTreeMap::from([
            ("a".to_owned(), vec![Some(1.0), None, Some(3.0)]),
            ("b".to_owned(), vec![None, None, Some(10.0)]),
        ]);
        for (text, expected) in [
            ("a", [Some(1.0), None, Some(3.0)]),
            ("FILL(a, 0)", [Some(1.0), Some(0.0), Some(3.0)]),
            ("SUM(METRICS())", [Some(1.0), None, Some(13.0)]),
            ("SUM(FILL(METRICS(), 0))", [Some(1.0), Some(0.0), Some(13.0)]),
            ("SUM([a, b])", [Some(1.0), None, Some(13.0)]),
            ("a + b", [None, None, Some(13.0)]),
            ("b - a - a - 1", [None, None, Some(3.0)]),
            ("b - (a - 1)", [None, None, Some(8.0)]),
            ("a >= 3", [Some(0.0), None, Some(1.0)]),
            ("FILL(a, 0) > FILL(b, 0)", [Some(1.0), Some(0.0), Some(0.0)]),
            ("IF(a > 2, b, 7)", [Some(7.0), None, Some(10.0)]),
            ("IF(FILL(b, 0) > 0, 0, FILL(a, 5))", [Some(1.0), Some(5.0), Some(0.0)]),
        ] {
            let series = Expression::parse(text).and_then(|parsed| parsed.evaluate(&metrics, 3)).unwrap();
            assert_eq!(series, expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "c",
            "RATE(a)",
            "MAX([a])",
            "a * 2",
            "FILL(a, REPEAT)",
            "SUM(a)",
            "a +",
            "a b",
            "a && a",
            "1 + 1",
            "(a",
            "IF(1, a, a)",
            "[a, 1",
        ] {
            let metrics = BTreeMap::from([("a".to_owned(), vec![Some(1.0)])]);
            let outcome = Expression::parse(text).and_then(|parsed| parsed.evaluate(&metrics, 1));
            assert!(outcome.is_err(), "{text}: {outcome:?}");
        }
    }
}
