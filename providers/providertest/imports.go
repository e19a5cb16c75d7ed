package providertest

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

// CheckImports fails the test when the package under test reaches what no
// provider may, because a provider only reads bytes and calls one API: Temporal,
// a database, a router, and all of ours but the contract. r adds to that: the
// libraries of the platform, which are the tests' oracles, and packages of ours
// that it is built on.
func CheckImports(t *testing.T, r deptest.Rule) {
	t.Helper()
	r.Package = "."
	r.Ban = append([]string{
		"go.temporal.io/...", "database/...", "github.com/jmoiron/...", "github.com/lib/pq/...", "modernc.org/...", "github.com/gorilla/...",
		"github.com/surehook/surehook/...",
	}, r.Ban...)
	r.Allow = append([]string{"github.com/surehook/surehook/providers"}, r.Allow...)
	deptest.Check(t, r)
}
