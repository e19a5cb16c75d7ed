package store

// table is rows of parameters, with which one statement speaks of many events.
// In the statement its columns are called column1, column2 and so on.
type table struct {
	columns []columnType
	rows    [][]any
}

// columnType is the type of a column, by its name in Postgres.
type columnType string

// The types of what statements are told. NULL is a nil.
const (
	textColumn   columnType = "text"        // string
	jsonColumn   columnType = "json"        // string
	bytesColumn  columnType = "bytea"       // []byte
	numberColumn columnType = "bigint"      // int64
	timeColumn   columnType = "timestamptz" // what at returns
)

func newTable(rows int, columns ...columnType) *table {
	return &table{columns: columns, rows: make([][]any, 0, rows)}
}

// add appends a row.
func (t *table) add(values ...any) { t.rows = append(t.rows, values) }
