package all_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
)

func TestNewKnowsEveryName(t *testing.T) {
	for _, name := range all.Names() {
		p, err := all.New(name, providers.APIConfig{}, nil)
		require.NoError(t, err)
		require.NotNil(t, p)
	}
}

func TestNewNamesWhatItKnowsWhenItDoesNotKnow(t *testing.T) {
	p, err := all.New("strip", providers.APIConfig{}, nil)
	require.EqualError(t, err, `unknown provider "strip": want one of github, jira, stripe`)
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
		if e.IsDir() && !slices.Contains([]string{"all", "oracletest", "providertest", "testdata"}, e.Name()) {
			folders = append(folders, e.Name())
		}
	}
	require.ElementsMatch(t, folders, all.Names())
}
