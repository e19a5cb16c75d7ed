package workflows_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/surehook/surehook/workflows"
)

// A parked run may be open for months, and each new worker replays its history
// from the start. The recordings are real runs of released code, made by
// TestRecordHistories in integration_test.
func TestEveryRecordedHistoryReplays(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			for _, w := range workflows.All() {
				replayer.RegisterWorkflow(w)
			}
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, file); err != nil {
				t.Errorf("this breaks running workflows: put the change behind a gate in versions.go\n%s: %v", file, err)
			}
		})
	}
}
