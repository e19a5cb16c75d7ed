package sandbox_test

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		Ban: []string{
			"go.temporal.io/...", "database/...", "github.com/jmoiron/...", "github.com/lib/pq/...", "modernc.org/...",
			"github.com/slack-go/...", "github.com/stripe/...", "github.com/google/go-github/...", "github.com/surehook/surehook/...",
		},
		Allow: []string{"github.com/surehook/surehook/providers"},
	})
}
