//go:build unix

package integration_test

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

// A trigger of the database copies every state that a record ever has, in the
// transaction that gives it: nobody who asks from outside could miss none.
var observeRecords = map[string][]string{
	"postgres": {
		`CREATE TABLE observed (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, object_type text NOT NULL,
			object_id text NOT NULL, state text, deleted boolean NOT NULL, changes bigint NOT NULL)`,
		`CREATE FUNCTION observe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO observed (source, object_type, object_id, state, deleted, changes)
			VALUES (NEW.source, NEW.object_type, NEW.object_id, NEW.state, NEW.deleted, NEW.changes);
			RETURN NULL; END $$`,
		`CREATE TRIGGER observe AFTER INSERT OR UPDATE ON records
			FOR EACH ROW WHEN (NEW.saved_at IS NOT NULL) EXECUTE FUNCTION observe()`,
	},
	"sqlite": {
		`CREATE TABLE observed (n INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, object_type TEXT NOT NULL,
			object_id TEXT NOT NULL, state TEXT, deleted INTEGER NOT NULL, changes INTEGER NOT NULL)`,
		sqliteObserver("INSERT"),
		sqliteObserver("UPDATE"),
	},
}

func sqliteObserver(event string) string {
	return `CREATE TRIGGER observe_` + event + ` AFTER ` + event + ` ON records WHEN NEW.saved_at IS NOT NULL BEGIN
		INSERT INTO observed (source, object_type, object_id, state, deleted, changes)
		VALUES (NEW.source, NEW.object_type, NEW.object_id, NEW.state, NEW.deleted, NEW.changes); END`
}

func (w *torture) observe() {
	dialect := "postgres"
	if w.postgres == nil {
		dialect = "sqlite"
	}
	for _, statement := range observeRecords[dialect] {
		_, err := w.db.ExecContext(w.t.Context(), statement)
		require.NoError(w.t, err)
	}
}

// sight is a record as it was or is.
type sight struct {
	Source  string          `json:"source"`
	Ref     providers.Ref   `json:"object"`
	State   json.RawMessage `json:"state"`
	Deleted bool            `json:"deleted"`
	Changes int64           `json:"changes"` // the record's own counter
}

func (s sight) name() string { return objectName(s.Source, s.Ref) }

// objectName names an object among all platforms.
func objectName(source string, ref providers.Ref) string {
	return source + " " + ref.Type + " " + ref.ID
}

// history returns all that the records have ever been, in its order.
func (w *torture) history() []sight {
	return w.sights("SELECT source, object_type, object_id, state, deleted, changes FROM observed ORDER BY n")
}

// records returns those that hold a state or are tombstones.
func (w *torture) records() []sight {
	return w.sights("SELECT source, object_type, object_id, state, deleted, changes FROM records WHERE saved_at IS NOT NULL")
}

func (w *torture) sights(query string) []sight {
	rows, err := w.db.QueryContext(w.t.Context(), query)
	require.NoError(w.t, err)
	defer rows.Close()
	var all []sight
	for rows.Next() {
		var s sight
		var state *string
		require.NoError(w.t, rows.Scan(&s.Source, &s.Ref.Type, &s.Ref.ID, &state, &s.Deleted, &s.Changes))
		if state != nil {
			s.State = json.RawMessage(*state)
		}
		all = append(all, s)
	}
	require.NoError(w.t, rows.Err())
	return all
}

// versionIn reads the number that the sandbox gives each state of an object.
func versionIn(state json.RawMessage) (int64, error) {
	var object struct {
		GitHub json.Number `json:"sandbox_version"`
		Stripe struct {
			Version json.Number `json:"sandbox_version"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(state, &object); err != nil {
		return 0, err
	}
	text := object.GitHub + object.Stripe.Version
	version, err := strconv.ParseInt(text.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("no version: %w", err)
	}
	return version, nil
}
