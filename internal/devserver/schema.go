package devserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"net/url"
	"strings"

	"go.temporal.io/server/schema"
	_ "modernc.org/sqlite" // the driver that Temporal's own SQLite plugin uses
)

// ErrOtherVersion says that a database file was made by another version of
// the Temporal server. Temporal has no migrations for SQLite, so such a file
// can only be deleted.
var ErrOtherVersion = errors.New("the file was made by another version of the Temporal server; delete it to start afresh")

// createSchema makes Temporal's tables in the file, in one transaction: a
// start that is cut short leaves an empty file, not half a schema. The
// schema's checksum is kept in the file so that a later version of the server
// does not stumble over missing columns.
func createSchema(ctx context.Context, file string) (err error) {
	statements, err := readSchema()
	if err != nil {
		return err
	}
	// SQLite keeps it as a signed number of 32 bits.
	version := int64(crc32.ChecksumIEEE([]byte(statements)) & math.MaxInt32)

	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=rwc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	var found int64
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil {
		return err
	}
	switch found {
	case version:
		return nil
	case 0:
	default:
		return ErrOtherVersion
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	// A pragma takes no parameters.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

func readSchema() (string, error) {
	var statements strings.Builder
	for _, name := range []string{"sqlite/v3/temporal/schema.sql", "sqlite/v3/visibility/schema.sql"} {
		content, err := fs.ReadFile(schema.Assets(), name)
		if err != nil {
			return "", err
		}
		statements.Write(content)
		statements.WriteString("\n")
	}
	return statements.String(), nil
}
