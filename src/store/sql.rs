//! Statements over many rows. Each template is filled for a few row counts only, so that prepared
//! statements are reused; what is missing to such a count is filled up with NULL rows, which match
//! and insert nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures_util::TryStreamExt;
use sqlx::AnyConnection;
use sqlx::Either;
use sqlx::Executor;
use sqlx::any::AnyRow;

use super::record::{Args, Kind, Record};

/// The differences between the databases, all of them: the spelling of placeholders (SQLite
/// finds a numbered one by a walk over all, which is quadratic), of BEGIN and of byte-wise keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// One snapshot for all reads of a transaction.
    pub(crate) fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// Rows per statement. A count between two of them is split or filled up, see [`chunk`].
const SIZES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// A statement with `{values}` where its rows go, in the order of `kinds`.
pub(crate) struct Template {
    /// Unique: statements are remembered by it.
    pub name: &'static str,
    pub sql: &'static str,
    pub kinds: &'static [Kind],
}

/// How many of `rows` the next statement takes, and the row count that it is made for: filled up
/// while at most a quarter is wasted, otherwise the largest that is full.
fn chunk(rows: usize) -> (usize, usize) {
    let up = SIZES.iter().copied().find(|size| *size >= rows);
    match up {
        Some(size) if (size - rows) * 4 <= size => (rows, size),
        _ => {
            let down = SIZES.iter().rev().copied().find(|size| *size <= rows).unwrap_or(1);
            (down, down)
        }
    }
}

type Key = (Dialect, &'static str, usize);
static TEXTS: LazyLock<Mutex<HashMap<Key, Arc<str>>>> = LazyLock::new(Mutex::default);

/// The text of a statement, made once. `sql` may hold `{values}`: `rows` groups of `columns`.
fn text(key: Key, columns: usize, sql: impl FnOnce() -> String) -> Arc<str> {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(texts.entry(key).or_insert_with(|| {
        let (dialect, _, rows) = key;
        let mut values = String::with_capacity(rows * columns * 6);
        let mut number = 0;
        for row in 0..rows {
            values.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..columns {
                number += 1;
                values.push_str(if column == 0 { "" } else { "," });
                match dialect {
                    Dialect::Sqlite => values.push('?'),
                    // writing to a String cannot fail
                    Dialect::Postgres => _ = write!(values, "${number}"),
                }
            }
            values.push(')');
        }
        sql().replace("{values}", &values).into()
    }))
}

/// What a statement did.
pub(crate) struct Done {
    pub affected: u64,
    pub rows: Vec<AnyRow>,
}

impl Template {
    /// Runs it over all rows: how many rows it changed, and what it returned.
    pub async fn run<T>(
        &self,
        conn: &mut AnyConnection,
        dialect: Dialect,
        rows: &[T],
        bind: impl Fn(&T, &mut Args) -> sqlx::Result<()>,
    ) -> sqlx::Result<Done> {
        let sql = || self.sql.to_owned();
        run(conn, (dialect, self.name), self.kinds.iter().copied(), sql, rows, bind).await
    }
}

/// Inserts records; a row whose keys exist is left out (and not counted), or handled by `conflict`.
pub(crate) async fn insert<R: Record>(
    conn: &mut AnyConnection,
    dialect: Dialect,
    rows: &[&R],
    conflict: Conflict,
) -> sqlx::Result<u64> {
    let sql = || {
        format!(
            "INSERT INTO {} ({}) SELECT * FROM (VALUES {{values}}) AS v WHERE v.column1 IS NOT NULL {}",
            R::TABLE,
            R::columns(""),
            conflict.sql,
        )
    };
    let kinds = R::COLUMNS.iter().map(|(_, kind)| *kind);
    let done = run(conn, (dialect, conflict.name), kinds, sql, rows, |row, args| row.bind(args));
    Ok(done.await?.affected)
}

/// What an insert does where a key exists.
#[derive(Clone, Copy)]
pub(crate) struct Conflict {
    /// Unique over all inserts.
    pub name: &'static str,
    pub sql: &'static str,
}

pub(crate) async fn run<T>(
    conn: &mut AnyConnection,
    (dialect, name): (Dialect, &'static str),
    kinds: impl Iterator<Item = Kind> + Clone,
    sql: impl Fn() -> String,
    rows: &[T],
    bind: impl Fn(&T, &mut Args) -> sqlx::Result<()>,
) -> sqlx::Result<Done> {
    let columns = kinds.clone().count();
    let mut done = Done { affected: 0, rows: Vec::new() };
    let mut rest = rows;
    while !rest.is_empty() {
        let (take, size) = chunk(rest.len());
        let (now, later) = rest.split_at(take);
        rest = later;
        let mut args = Args::with_capacity(size * columns);
        for row in now {
            bind(row, &mut args)?;
        }
        for _ in take..size {
            for kind in kinds.clone() {
                args.null(kind)?;
            }
        }
        let text = text((dialect, name, size), columns, &sql);
        let mut stream = (&mut *conn).fetch_many(args.query(text));
        while let Some(step) = stream.try_next().await? {
            match step {
                Either::Left(result) => done.affected += result.rows_affected(),
                Either::Right(row) => done.rows.push(row),
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_count_with_few_statements_and_little_waste() {
        for rows in 1..=1024 {
            let (mut left, mut statements, mut made) = (rows, 0, 0);
            while left > 0 {
                let (take, size) = chunk(left);
                assert!(take >= 1 && take <= left && size >= take && SIZES.contains(&size));
                left -= take;
                statements += 1;
                made += size;
            }
            assert!(statements <= 4 + rows / 256, "{rows} rows took {statements} statements");
            assert!(made * 3 <= rows * 4, "{rows} rows were filled up to {made}");
        }
    }

    #[test]
    fn placeholders_are_spelled_for_their_database() {
        let sql = || "VALUES {values}".to_owned();
        assert_eq!(&*text((Dialect::Sqlite, "t", 2), 2, sql), "VALUES (?,?), (?,?)");
        assert_eq!(&*text((Dialect::Postgres, "t", 2), 2, sql), "VALUES ($1,$2), ($3,$4)");
    }
}
