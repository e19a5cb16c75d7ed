//go:build unix

package temporal_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/internal/devserver/pgserver"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/workflows"
)

func TestVisibilitySearchesAsBeforeWithIndexesThatSkipEmptyRows(t *testing.T) {
	postgres := pgtest.Start(t, pgtest.Options{})
	dynamicConfig, err := temporal.DynamicConfig()
	require.NoError(t, err)
	attributes := map[string]enumspb.IndexedValueType{}
	for _, key := range workflows.SearchAttributeKeys {
		attributes[key.GetName()] = key.GetValueType()
	}
	o := pgserver.Options{
		Postgres:         postgres.URL(),
		Dir:              t.TempDir(),
		DynamicConfig:    dynamicConfig,
		SearchAttributes: attributes,
	}
	s, err := pgserver.Start(t.Context(), o)
	require.NoError(t, err)
	db := visibility(t, postgres)
	before := indexes(t, db)
	require.NoError(t, s.Kill())

	o.VisibilityIndexes = temporal.VisibilityIndexes
	s, err = pgserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Kill()) })
	after := indexes(t, db)

	t.Run("those of what may be missing in a row skip it", func(t *testing.T) {
		var full []string
		for name, definition := range after {
			require.Contains(t, before, name, "Temporal's migrations find indexes by their names")
			if definition == before[name] {
				full = append(full, name)
				continue
			}
			require.Regexp(t, `^\Q`+before[name]+`\E WHERE \([a-z0-9_]+ IS NOT NULL\)$`, definition)
		}
		require.Len(t, after, len(before))
		require.ElementsMatch(t, []string{
			"executions_visibility_pkey", "default_idx", "by_execution_time", "by_workflow_id", "by_workflow_type", "by_status",
			"by_task_queue", "by_root_workflow_id", "by_root_run_id",
			"by_temporal_namespace_division", // each list asks for rows without one
		}, full)
	})
	t.Run("a second time changes nothing", func(t *testing.T) {
		_, err := db.Exec(temporal.VisibilityIndexes)
		require.NoError(t, err)
		require.Equal(t, after, indexes(t, db))
	})
	t.Run("runs are found by what they have, and by what they do not have", func(t *testing.T) {
		c, err := client.DialContext(t.Context(), client.Options{
			HostPort: s.HostPort(),
			Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		})
		require.NoError(t, err)
		t.Cleanup(c.Close)
		began := time.Now().Add(-time.Minute)
		for _, source := range []string{"stripe", "github"} {
			ev := providers.EventRef{Source: source, ID: "evt_1", Type: "invoice.paid"}
			_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID:                    workflows.IDOf(ev),
				TaskQueue:             "nobody",
				TypedSearchAttributes: workflows.SearchAttributes(ev),
			}, "Sync", ev)
			require.NoError(t, err)
		}
		for query, want := range map[string]int64{
			"":                                       2,
			`SurehookSource = "stripe"`:              1,
			`SurehookSource IN ("stripe", "github")`: 2,
			`SurehookSource != "stripe"`:             1,
			`SurehookSource STARTS_WITH "str"`:       1,
			`SurehookSource IS NOT NULL`:             2,
			`SurehookSource IS NULL`:                 0,
			`CloseTime IS NULL`:                      2,
			`ExecutionStatus = "Running"`:            2,
			`ParentWorkflowId IS NULL`:               2,
			`HistoryLength > 1`:                      0,
			fmt.Sprintf("StartTime > %q", began.UTC().Format(time.RFC3339)): 2,
		} {
			require.Eventually(t, func() bool {
				counted, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
				require.NoError(t, err, query)
				listed, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
				require.NoError(t, err, query)
				return counted.GetCount() == want && int64(len(listed.GetExecutions())) == want
			}, 30*time.Second, 50*time.Millisecond, "%s: want %d", query, want)
		}
	})
	t.Run("Postgres takes such an index for what we search by", func(t *testing.T) {
		_, err := db.Exec("SET enable_seqscan = off")
		require.NoError(t, err)
		for _, condition := range []string{"= 'stripe'", "IN ('stripe', 'github')"} {
			var plan string
			require.NoError(t, db.QueryRow(`EXPLAIN (FORMAT JSON) SELECT run_id FROM executions_visibility
				WHERE namespace_id = 'x' AND Keyword01 `+condition).Scan(&plan))
			require.Contains(t, plan, "by_keyword_01")
		}
	})
}

// visibility has one connection, so that what is set is set for the next statement.
func visibility(t *testing.T, postgres *pgtest.Server) *sql.DB {
	t.Helper()
	u, err := url.Parse(postgres.URL())
	require.NoError(t, err)
	u.Path = "/temporal_visibility"
	db, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	return db
}

func indexes(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.Query("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'executions_visibility'")
	require.NoError(t, err)
	defer rows.Close()
	definitions := map[string]string{}
	for rows.Next() {
		var name, definition string
		require.NoError(t, rows.Scan(&name, &definition))
		definitions[name] = definition
	}
	require.NoError(t, rows.Err())
	return definitions
}
