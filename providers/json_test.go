package providers_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

type wanted struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Data    struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

func TestReadJSONTakesWhatIsAskedForAndSkipsTheRest(t *testing.T) {
	var got wanted
	body := ` {"other": [1, {"id": "no"}], "id": "evt_1", "created": 7, "data": {"x": null, "object": {"id": "in_1"}}} `
	require.NoError(t, providers.ReadJSON([]byte(body), &got))

	want := wanted{ID: "evt_1", Created: 7}
	want.Data.Object.ID = "in_1"
	require.Equal(t, want, got)
}

func TestReadJSONMatchesNamesByCase(t *testing.T) {
	var got wanted
	require.NoError(t, providers.ReadJSON([]byte(`{"ID": "evt_1", "Id": "evt_2"}`), &got))
	require.Empty(t, got.ID)
}

func TestReadJSONLeavesNullAndMissingMembersZero(t *testing.T) {
	var got wanted
	require.NoError(t, providers.ReadJSON([]byte(`{"id": null, "data": null}`), &got))
	require.Zero(t, got)
}

func TestReadJSONRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	bodies := map[string]string{
		"an empty body":                      "",
		"blanks":                             "  \n",
		"null":                               "null",
		"an array":                           `[{"id": "evt_1"}]`,
		"a string":                           `"evt_1"`,
		"a truncated object":                 `{"id": "evt_1"`,
		"a second object":                    `{"id": "evt_1"}{}`,
		"trailing text":                      `{"id": "evt_1"} x`,
		"a byte order mark":                  "\xef\xbb\xbf{}",
		"a name twice":                       `{"id": "evt_1", "id": "evt_2"}`,
		"a name twice in another spelling":   `{"id": "evt_1", "\u0069d": "evt_2"}`,
		"a skipped name twice":               `{"other": {"a": 1, "a": 2}}`,
		"invalid UTF-8":                      "{\"id\": \"evt_\xff\"}",
		"invalid UTF-8 in a skipped member":  "{\"other\": \"\xc3\x28\"}",
		"half a surrogate pair":              `{"id": "\ud800"}`,
		"a number where a string is wanted":  `{"id": 1}`,
		"a string where a number is wanted":  `{"created": "7"}`,
		"a fraction where an int is wanted":  `{"created": 7.5}`,
		"a number too large for its field":   `{"created": 9223372036854775808}`,
		"a string where an object is wanted": `{"data": "x"}`,
		"a comment":                          `{/* hello */}`,
		"endless nesting":                    `{"other": ` + deep(10_001) + `}`,
		"half a million open brackets":       `{"other": ` + strings.Repeat("[", 500_000),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			var got wanted
			require.ErrorIs(t, providers.ReadJSON([]byte(body), &got), providers.ErrMalformed)
		})
	}
}

func TestReadJSONErrorsQuoteNothingOfTheBody(t *testing.T) {
	for _, body := range []string{
		`{"jane@example.com": 1, "jane@example.com": 2}`,
		`{"id": {"jane@example.com": 1}}`,
		`{"created": "jane@example.com"}`,
		`{"other": {"jane@example.com": [1, jane@example.com]}}`,
	} {
		var got wanted
		err := providers.ReadJSON([]byte(body), &got)
		require.ErrorIs(t, err, providers.ErrMalformed)
		require.NotContains(t, err.Error(), "jane")
	}
}

func BenchmarkReadJSON2kB(b *testing.B) {
	filler := bytes.Repeat([]byte(`{"amount": 1200, "currency": "usd", "description": "one line of an invoice"}, `), 24)
	body := []byte(`{"lines": [` + string(filler) + `{}], "id": "evt_1", "created": 7, "data": {"object": {"id": "in_1"}}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var got wanted
		if err := providers.ReadJSON(body, &got); err != nil {
			b.Fatal(err)
		}
	}
}

func TestReadJSONArrayReadsAsStrictly(t *testing.T) {
	var elements []struct {
		ID int `json:"id"`
	}
	require.NoError(t, providers.ReadJSONArray([]byte(" [{\"id\": 1}, {\"id\": 2, \"x\": {}}]\r\n"), &elements))
	require.Len(t, elements, 2)
	for _, body := range []string{``, `{}`, `null`, `"[]"`, `[1`, `[]]`, `[],[]`, `[{"id": 1, "id": 2}]`, `[{"id": "private text"}]`, "[\"\xff\"]"} {
		err := providers.ReadJSONArray([]byte(body), &elements)
		require.ErrorIs(t, err, providers.ErrMalformed, body)
		require.NotContains(t, err.Error(), "private text")
	}
	require.ErrorIs(t, providers.ReadJSON([]byte(`[]`), &struct{}{}), providers.ErrMalformed)
}
