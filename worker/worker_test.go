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
		err := Config{StopTimeout: -time.Second, MaxAttempts: 0}.Validate()
		require.ErrorContains(t, err, "SUREHOOK_WORKER_STOP_TIMEOUT: -1s")
		require.ErrorContains(t, err, "SUREHOOK_MAX_ATTEMPTS: 0")
	})
}
