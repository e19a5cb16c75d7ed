package all_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/providers/declared"
)

func TestNewKnowsEveryName(t *testing.T) {
	for _, name := range all.Names() {
		p, err := all.New(name, providers.APIConfig{}, nil)
		if all.NeedsSettings(name) {
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), "unknown provider")
			require.NotNil(t, all.Settings(name))
			continue
		}
		require.NoError(t, err)
		require.NotNil(t, p)
	}
}

func TestNewNamesWhatItKnowsWhenItDoesNotKnow(t *testing.T) {
	p, err := all.New("strip", providers.APIConfig{}, nil)
	require.EqualError(t, err, `unknown provider "strip": want one of `+strings.Join(all.Names(), ", "))
	require.Nil(t, p)
}

func TestNewReturnsNoProviderWithAnError(t *testing.T) {
	for _, name := range all.Names() {
		p, err := all.New(name, providers.APIConfig{BaseURL: "ftp://example.com"}, nil)
		require.ErrorContains(t, err, name)
		require.Nil(t, p)
	}
}

func TestNamesHasEveryPlatformInTheTree(t *testing.T) {
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	var folders []string
	for _, e := range entries {
		if e.IsDir() && !slices.Contains([]string{"all", "declared", "oracletest", "providertest", "testdata"}, e.Name()) {
			folders = append(folders, e.Name())
		}
	}
	var programmed []string
	for _, name := range all.Names() {
		if _, ready := all.Settings(name).(*declared.Settings); !ready {
			programmed = append(programmed, strings.ReplaceAll(name, "-", "")) // which no package's name may hold
		}
	}
	require.ElementsMatch(t, folders, programmed)
}

func TestNamesAreInOrder(t *testing.T) {
	require.IsIncreasing(t, all.Names())
}
