package erasure

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

// TestImports: an erasure works on rows. What Temporal holds is its caller's.
func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package:   ".",
		Ban:       []string{"go.temporal.io/...", "github.com/gorilla/...", "github.com/spf13/cobra/...", "github.com/stretchr/testify/..."},
		BanDirect: []string{"net/http", "github.com/jmoiron/sqlx"},
	})
}
