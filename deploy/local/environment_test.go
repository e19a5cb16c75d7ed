//go:build unix

package main

import (
	"net"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSourcesFindEveryVariableTheyName(t *testing.T) {
	env, err := newEnvironment(t.TempDir(), "postgres://postgres@127.0.0.1:5/surehook?sslmode=disable", "127.0.0.1:7233")
	require.NoError(t, err)
	platforms, err := env.platforms()
	require.NoError(t, err)
	for _, name := range []string{"stripe", "github"} {
		require.NotEmpty(t, platforms[name].Secrets)
		require.Equal(t, "http://"+env.vars["SUREHOOK_LISTEN"]+"/webhooks/"+name, platforms[name].Target)
	}
}

func TestAShellReadsTheEnvironment(t *testing.T) {
	const database = "postgres://postgres@127.0.0.1:5/surehook?sslmode=disable&a=b"
	env, err := newEnvironment(t.TempDir(), database, "127.0.0.1:7233")
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `. "$0"; printf %s "$DATABASE_URL"`, env.file()).Output()
	require.NoError(t, err)
	require.Equal(t, database, string(out))
}

func TestAPortThatIsTakenIsLeftAlone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	free := freeAddress(taken.Addr().String())
	require.NotEqual(t, taken.Addr().String(), free)
	require.Contains(t, free, "127.0.0.1:")
}
