//! One macro declares a table's row: its columns in order, how they are bound and read, and its JSON
//! in an export. So the SQL, the structs and the files cannot drift apart.

use sqlx::Row;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Arguments, AssertSqlSafe};

use std::sync::Arc;

/// What a column holds: PostgreSQL wants a type even for NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
}

/// The parameters of one statement, in order.
#[derive(Default)]
pub(crate) struct Args(AnyArguments);

impl Args {
    pub fn with_capacity(parameters: usize) -> Self {
        let mut args = AnyArguments::default();
        args.reserve(parameters, 0);
        Self(args)
    }

    pub fn int(&mut self, value: i64) -> sqlx::Result<()> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }

    pub fn text(&mut self, value: &str) -> sqlx::Result<()> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }

    pub fn null(&mut self, kind: Kind) -> sqlx::Result<()> {
        match kind {
            Kind::Int => self.0.add(None::<i64>),
            Kind::Text => self.0.add(None::<String>),
        }
        .map_err(sqlx::Error::Encode)
    }

    /// The statement with these parameters. `sql` is built from constants and counts only.
    pub fn query(self, sql: Arc<str>) -> Query<'static, Any, AnyArguments> {
        sqlx::query_with(AssertSqlSafe(sql), self.0)
    }
}

/// A value that a column can hold.
pub(crate) trait Column: Sized {
    const KIND: Kind;
    fn bind(&self, args: &mut Args) -> sqlx::Result<()>;
    fn read(row: &AnyRow, index: usize) -> sqlx::Result<Self>;
}

impl Column for i64 {
    const KIND: Kind = Kind::Int;
    fn bind(&self, args: &mut Args) -> sqlx::Result<()> {
        args.int(*self)
    }
    fn read(row: &AnyRow, index: usize) -> sqlx::Result<Self> {
        row.try_get(index)
    }
}

impl Column for String {
    const KIND: Kind = Kind::Text;
    fn bind(&self, args: &mut Args) -> sqlx::Result<()> {
        args.text(self)
    }
    fn read(row: &AnyRow, index: usize) -> sqlx::Result<Self> {
        row.try_get(index)
    }
}

impl<T: Column> Column for Option<T>
where
    T: for<'r> sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    const KIND: Kind = T::KIND;
    fn bind(&self, args: &mut Args) -> sqlx::Result<()> {
        match self {
            Some(value) => value.bind(args),
            None => args.null(T::KIND),
        }
    }
    fn read(row: &AnyRow, index: usize) -> sqlx::Result<Self> {
        row.try_get(index)
    }
}

/// A row of one table.
pub(crate) trait Record: Sized {
    const TABLE: &'static str;
    /// Names and kinds, in the order of the struct.
    const COLUMNS: &'static [(&'static str, Kind)];
    /// The primary key, in order.
    const KEY: &'static [&'static str];
    fn bind(&self, args: &mut Args) -> sqlx::Result<()>;
    /// Reads the columns from position `from` on.
    fn read(row: &AnyRow, from: usize) -> sqlx::Result<Self>;

    /// `a, b, c`, each behind `prefix`.
    fn columns(prefix: &str) -> String {
        let names: Vec<String> =
            Self::COLUMNS.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
        names.join(", ")
    }
}

macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $table:literal key [$($key:literal),+] {
            $( $(#[$fmeta:meta])* pub $field:ident: $ty:ty, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $ty, )+
        }

        impl $crate::store::record::Record for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [(&'static str, $crate::store::record::Kind)] = &[
                $( (stringify!($field), <$ty as $crate::store::record::Column>::KIND), )+
            ];
            const KEY: &'static [&'static str] = &[$($key),+];

            fn bind(&self, args: &mut $crate::store::record::Args) -> sqlx::Result<()> {
                $( $crate::store::record::Column::bind(&self.$field, args)?; )+
                Ok(())
            }

            fn read(row: &sqlx::any::AnyRow, from: usize) -> sqlx::Result<Self> {
                let mut index = from;
                $(
                    let $field = $crate::store::record::Column::read(row, index)?;
                    index += 1;
                )+
                let _ = index;
                Ok(Self { $( $field, )+ })
            }
        }
    };
}
pub(crate) use record;
