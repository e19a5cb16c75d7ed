package worker

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		// Not at any distance: the worker is given activities that are wired
		// already, and knows no database, no platform and no HTTP.
		Ban: []string{
			"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/...", "github.com/pressly/goose/...",
			"github.com/gorilla/mux", "github.com/stripe/...", "github.com/google/go-github/...", "go.temporal.io/server/...",
			"github.com/surehook/surehook/internal/...", "github.com/surehook/surehook/providers/...",
			"github.com/surehook/surehook/ingress", "github.com/surehook/surehook/sandbox/...",
		},
		BanDirect: []string{"net/http"}, // the SDK reaches it
		Allow:     []string{"github.com/surehook/surehook/providers"},
	})
}
