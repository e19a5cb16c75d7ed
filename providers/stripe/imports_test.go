package stripe_test

import (
	"testing"

	"github.com/surehook/surehook/internal/deptest"
	"github.com/surehook/surehook/providers/providertest"
)

func TestImports(t *testing.T) {
	providertest.CheckImports(t, deptest.Rule{Ban: []string{"github.com/stripe/..."}})
}
