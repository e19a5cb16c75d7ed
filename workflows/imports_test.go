package workflows_test

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		// Not at any distance. The SDK itself reaches net/http, os, encoding/json
		// and database/sql/driver, so these can only be banned as ours, below.
		Ban: []string{
			"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/...", "github.com/pressly/goose/...",
			"github.com/gorilla/mux", "github.com/stripe/...", "github.com/google/go-github/...", "go.temporal.io/server/...",
			"go.temporal.io/sdk/client", "go.temporal.io/sdk/worker",
			"github.com/surehook/surehook/internal/...", "github.com/surehook/surehook/providers/...",
			"github.com/surehook/surehook/ingress", "github.com/surehook/surehook/worker", "github.com/surehook/surehook/sandbox/...",
		},
		// A decision must come out the same when it is replayed years later on
		// another machine: no clock of its own, no chance, no environment.
		BanDirect: []string{
			"net/...", "os/...", "encoding/json", "math/rand/...", "crypto/rand", "context", "sync", "sync/atomic", "log/...",
			"github.com/google/uuid",
		},
		Allow: []string{"github.com/surehook/surehook/providers"},
	})
}
