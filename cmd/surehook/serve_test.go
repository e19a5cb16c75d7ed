package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAJointRunMakesNoMoreCallsThanItsSourcesRateAllowsInATenthOfASecond(t *testing.T) {
	for perSecond, want := range map[float64]int{0: 16, 0.5: 0, 19: 1, 20: 2, 100: 10, 160: 16, 1000: 16} {
		t.Run(fmt.Sprint(perSecond, "/s"), func(t *testing.T) {
			require.Equal(t, want, objectsPerRun(16, perSecond))
		})
	}
	require.Equal(t, 1, objectsPerRun(1, 0))
}
