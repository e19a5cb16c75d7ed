package providers_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestANameIsPrintableASCIIOfBoundedLength(t *testing.T) {
	for _, name := range []string{"evt_1", "a/b:c|d~", "!", strings.Repeat("x", 200)} {
		require.True(t, providers.IsName(name), name)
	}
	for _, text := range []string{"", " ", "a b", "a\n", "\x00", "\x7f", "é", "\xff", strings.Repeat("x", 201)} {
		require.False(t, providers.IsName(text), "%q", text)
	}
}
