-- Makes the indexes of Temporal's visibility on Postgres skip the rows that have
-- nothing in them. Run it in the visibility database; it can be repeated, and
-- should be after each update of Temporal's schema.
--
-- Temporal indexes over seventy columns of executions_visibility, one for each search
-- attribute there could be, and almost all of them are empty in every row; but an
-- index holds empty values too, so that each row is written to all of them, twice
-- for each run. The same index for the rows that have a value answers the same
-- searches. Its name stays, by which Temporal's migrations find it.
--
-- What looks for rows without a value reads other indexes then. Temporal does that itself
-- in one place: each list asks for the runs of no namespace division.
--
-- The table is locked meanwhile: a moment while it is new, some minutes when it
-- has millions of rows.
DO $$
DECLARE
  index record;
BEGIN
  FOR index IN
    SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS definition, a.attname AS attribute
    FROM pg_index i
    JOIN pg_attribute first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0]
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[1]
    WHERE i.indrelid = 'executions_visibility'::regclass
      AND first.attname = 'namespace_id'
      AND a.attname <> 'temporalnamespacedivision'
      AND NOT a.attnotnull
      AND NOT i.indisunique
      AND i.indpred IS NULL
  LOOP
    EXECUTE format('DROP INDEX %s', index.name);
    EXECUTE format('%s WHERE %I IS NOT NULL', index.definition, index.attribute);
  END LOOP;
END
$$;
