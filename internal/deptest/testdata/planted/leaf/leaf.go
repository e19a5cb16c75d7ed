// Package leaf reaches for SQL.
package leaf

import _ "database/sql"
