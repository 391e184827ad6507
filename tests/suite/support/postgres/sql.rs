//! What the tests' own statements find in every database, so that one text serves on SQLite and on PostgreSQL.

/// In a schema that only the tests' connections look into: functions that SQLite has, and a look for damage.
pub const HELPERS: &str = r"
CREATE SCHEMA tests;
GRANT USAGE ON SCHEMA tests TO PUBLIC;
CREATE EXTENSION amcheck SCHEMA tests;
CREATE FUNCTION tests.hex(uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN upper(replace(CAST($1 AS text), '-', ''));
CREATE FUNCTION tests.hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN upper(encode($1, 'hex'));
CREATE FUNCTION tests.json_extract(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN CAST($1 AS jsonb) ->> substr($2, 3);
-- Only ids are made of it.
CREATE FUNCTION tests.randomblob(integer) RETURNS uuid LANGUAGE sql VOLATILE STRICT
    RETURN gen_random_uuid();
CREATE FUNCTION tests.zeroblob(integer) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT
    RETURN decode(repeat('00', $1), 'hex');
";

/// Every index against its table, and every table against itself: a row for each thing that is damaged, and an error for
/// an index that is.
pub const DAMAGE: &str = r"
WITH tables AS (
    SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = CAST('public' AS regnamespace)
), indexes AS (
    SELECT bt_index_check(index => indexrelid, heapallindexed => true) AS checked
    FROM pg_index WHERE indrelid IN (SELECT oid FROM tables)
)
SELECT damage.msg FROM tables, verify_heapam(relation => tables.oid) AS damage
UNION ALL SELECT CAST(NULL AS text) FROM indexes WHERE checked IS NULL
";
