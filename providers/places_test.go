package providers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestPlacesAreReadOneAfterTheOther(t *testing.T) {
	places := providers.Places{"one", "two"}
	var read []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		place, page, err := places.At(cursor)
		require.NoError(t, err)
		read = append(read, place+":"+page)
		next := ""
		if place == "one" && page == "" {
			next = "a b"
		}
		cursor = places.Next(place, next)
	}
	require.Equal(t, []string{"one:", "one:a b", "two:"}, read)
}

func TestACursorLeadsToNoOtherPlace(t *testing.T) {
	places := providers.Places{"one", "two"}
	for _, cursor := range []string{"three", "three a", " ", " a", "one/ a", "on", "one\x00 a"} {
		_, _, err := places.At(cursor)
		require.ErrorIs(t, err, providers.ErrStaleCursor, "%q", cursor)
	}
	_, _, err := providers.Places(nil).At("")
	require.ErrorIs(t, err, providers.ErrStaleCursor, "there is none")
}
