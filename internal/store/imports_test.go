package store_test

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
)

// TestImports: the store knows rows, not requests and not workflows.
func TestImports(t *testing.T) {
	deptest.Check(t, deptest.Rule{
		Package: ".",
		Ban: []string{
			"go.temporal.io/...", "github.com/gorilla/...", "github.com/spf13/cobra/...",
			"github.com/stretchr/testify/...",
		},
		// net/http comes along with providers.Received's header; the store
		// itself has no business with it.
		BanDirect: []string{"net/http"},
	})
}
