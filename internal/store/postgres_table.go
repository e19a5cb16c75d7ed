package store

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// postgresTable passes each column as one array. So a statement has one text
// for any number of rows, and one parameter where a VALUES list has hundreds:
// parsing and planning such a list takes Postgres about as long as inserting
// its rows. It works without named prepared statements, which a connection pool
// between us and Postgres may not carry.
func postgresTable(t *table, name string) (from string, args []any) {
	var arrays, names strings.Builder
	for i, c := range t.columns {
		if i > 0 {
			arrays.WriteString(", ")
			names.WriteString(", ")
		}
		fmt.Fprintf(&arrays, "CAST(? AS %s[])", c)
		fmt.Fprintf(&names, "column%d", i+1)
		args = append(args, postgresArray(c, t.rows, i))
	}
	return fmt.Sprintf("unnest(%s) AS %s (%s)", &arrays, name, &names), args
}

// postgresOIDs are the numbers of the types (pg_type.dat of Postgres' sources).
var postgresOIDs = map[columnType]uint32{
	textColumn: 25, jsonColumn: 114, bytesColumn: 17, numberColumn: 20, timeColumn: 1184,
}

// postgresEpoch is the year 2000, where its times begin, in microseconds since 1970.
const postgresEpoch = 946_684_800_000_000

// postgresArray writes one column in Postgres' binary format (array_recv in
// src/backend/utils/adt/arrayfuncs.c), in which lib/pq sends a []byte. As text, bodies
// would be twice as large, and quoted.
func postgresArray(c columnType, rows [][]any, column int) []byte {
	const header = 20
	size := header
	for _, row := range rows {
		size += 4 + postgresSize(row[column])
	}
	b := make([]byte, 0, size)
	b = binary.BigEndian.AppendUint32(b, 1) // dimension
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, postgresOIDs[c])
	b = binary.BigEndian.AppendUint32(b, uint32(len(rows))) //nolint:gosec // bounded by flushRows
	b = binary.BigEndian.AppendUint32(b, 1)                 // the first index
	for _, row := range rows {
		b = appendPostgres(b, row[column])
	}
	return b
}

// postgresSize is the length of a value's bytes.
func postgresSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	default:
		return 8
	}
}

// appendPostgres appends a value's length and bytes.
func appendPostgres(b []byte, v any) []byte {
	const null = 1<<32 - 1
	if v == nil {
		return binary.BigEndian.AppendUint32(b, null)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(postgresSize(v))) //nolint:gosec // a body is bounded by its source's limit
	switch v := v.(type) {
	case string:
		return append(b, v...)
	case []byte:
		return append(b, v...)
	case int64:
		return binary.BigEndian.AppendUint64(b, uint64(v)) //nolint:gosec // two's complement is what is wanted
	case time.Time:
		return binary.BigEndian.AppendUint64(b, uint64(v.UnixMicro()-postgresEpoch)) //nolint:gosec // as above
	default:
		panic(fmt.Sprintf("a %T cannot be a parameter of a table", v))
	}
}
