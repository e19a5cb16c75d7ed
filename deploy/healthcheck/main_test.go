package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Run("200 is healthy", func(t *testing.T) {
		require.NoError(t, check(server.URL))
	})
	t.Run("503 is not", func(t *testing.T) {
		status = http.StatusServiceUnavailable
		require.ErrorContains(t, check(server.URL), "503")
	})
	t.Run("nobody listening is not", func(t *testing.T) {
		server.Close()
		require.Error(t, check(server.URL))
	})
}
