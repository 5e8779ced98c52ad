//! The only SQL: one file per table, one `queries/catalog/<table>/<verb>.sql` per function. Knows nothing of stages.
