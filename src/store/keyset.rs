//! Where a page of a list goes on.
//!
//! The position is compared as a row value: an index seeks to it, where `a < ? OR (a = ? AND b < ?)` would read the list
//! from its beginning.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Value};
use uuid::Uuid;

/// The rows after a position, in ascending order of two columns that are never null and together unique.
pub(super) fn after<C: ColumnTrait>(columns: [C; 2], position: (impl Into<Value>, Uuid)) -> Expr {
    row(columns).gt(values(position))
}

/// As [`after`], in descending order.
pub(super) fn before<C: ColumnTrait>(columns: [C; 2], position: (impl Into<Value>, Uuid)) -> Expr {
    row(columns).lt(values(position))
}

fn row<C: ColumnTrait>(columns: [C; 2]) -> Expr {
    Expr::tuple(columns.map(|column| Expr::col(column.as_column_ref())))
}

fn values((first, last): (impl Into<Value>, Uuid)) -> Expr {
    Expr::tuple([Expr::value(first), Expr::value(last)])
}
