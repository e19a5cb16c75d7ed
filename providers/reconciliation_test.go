package providers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestATallyCountsInWords(t *testing.T) {
	require.Equal(t, "1 page, 0 objects, 1 missed event, 2 repaired records, 1 failed, 1 call",
		providers.Tally{Pages: 1, Missed: 1, Repaired: 2, Failed: 1, Calls: 1}.InWords())
}
