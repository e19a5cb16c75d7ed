package store

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHeaderIsStoredAsEncodingJSONWouldWriteIt(t *testing.T) {
	for _, h := range []map[string][]string{
		nil,
		{},
		{"Content-Type": {"application/json"}, "X-Twice": {"a", "b"}, "X-None": {}, "X-Empty": {""}},
		{"X-Odd": {"a\"b\\c\x00\x01\n\t<>&\u2028", "\xff\xfe", "Über 😀"}},
	} {
		want, err := json.Marshal(h)
		require.NoError(t, err)
		if h == nil {
			want = []byte("{}")
		}
		require.JSONEq(t, string(want), headerJSON(h))
	}
}
