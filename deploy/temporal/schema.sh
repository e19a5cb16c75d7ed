#!/bin/sh
# Creates Temporal's two databases and their tables, or brings them up to date.
# SQL_* say where. Each step does nothing where it was done before, so it runs
# at every start and at every upgrade of Temporal.
set -eu

for database in temporal temporal_visibility; do
  schema=${database#temporal_}
  temporal-sql-tool --database "$database" create-database
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema --schema-name "postgresql/v12/$schema"
done
