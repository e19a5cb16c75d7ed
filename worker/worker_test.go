package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigValidate(t *testing.T) {
	t.Run("accepts what can be meant", func(t *testing.T) {
		require.NoError(t, Config{StopTimeout: 30 * time.Second, MaxAttempts: 15}.Validate())
		require.NoError(t, Config{StopTimeout: 0, MaxAttempts: 1}.Validate())
		require.NoError(t, Config{MaxAttempts: 1, Retention: 720 * time.Hour}.Validate())
	})
	t.Run("reports every error by its variable", func(t *testing.T) {
		err := Config{StopTimeout: -time.Second, MaxAttempts: 0, Retention: time.Minute}.Validate()
		require.ErrorContains(t, err, "SUREHOOK_WORKER_STOP_TIMEOUT: -1s")
		require.ErrorContains(t, err, "SUREHOOK_MAX_ATTEMPTS: 0")
		require.ErrorContains(t, err, "SUREHOOK_RETENTION: 1m0s: want 0 to keep bodies for ever, or at least 1h0m0s")
		require.ErrorContains(t, Config{MaxAttempts: 1, Retention: -time.Hour}.Validate(), "SUREHOOK_RETENTION: -1h0m0s")
	})
}
