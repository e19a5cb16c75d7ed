package activities_test

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		// Not at any distance: what an activity needs it is given, so that
		// workflows can name activities without linking a database.
		Ban: []string{
			"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/...", "github.com/pressly/goose/...",
			"github.com/gorilla/mux", "github.com/stripe/...", "github.com/google/go-github/...", "go.temporal.io/server/...",
			"go.temporal.io/sdk/client", "go.temporal.io/sdk/worker", "go.temporal.io/sdk/workflow",
			"github.com/surehook/surehook/internal/...", "github.com/surehook/surehook/providers/...",
			"github.com/surehook/surehook/ingress", "github.com/surehook/surehook/workflows", "github.com/surehook/surehook/worker",
			"github.com/surehook/surehook/sandbox/...",
		},
		BanDirect: []string{"net/http"}, // the SDK reaches it
		Allow:     []string{"github.com/surehook/surehook/providers"},
	})
}
