package providers_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestReadFormReadsNamesThatOccurOnce(t *testing.T) {
	form, err := providers.ReadForm([]byte("a=1&b%5Bc%5D=x+y&empty="))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b[c]": "x y", "empty": ""}, form)

	for _, body := range []string{"a=1&a=1", "a=1&b=2&%61=3", "private=%zz", "private;x=1"} {
		_, err := providers.ReadForm([]byte(body))
		require.ErrorIs(t, err, providers.ErrMalformed, body)
		require.NotContains(t, err.Error(), "private", "an error holds nothing of the body")
	}
}

func TestAFormIsKnownByItsDeclaredType(t *testing.T) {
	for media, want := range map[string]bool{
		"application/x-www-form-urlencoded":                true,
		"Application/X-WWW-Form-URLEncoded; charset=utf-8": true,
		"application/json":                                 false,
		"multipart/form-data; boundary=x":                  false,
		"application/x-www-form-urlencoded; charset":       false,
		"": false,
	} {
		r := providers.Request{Header: http.Header{"Content-Type": {media}}}
		require.Equal(t, want, r.IsForm(), media)
	}
	require.False(t, providers.Request{}.IsForm())
}
