package deptest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

const planted = "github.com/surehook/surehook/internal/deptest/testdata/planted"

func TestCheckReportsABannedPackage(t *testing.T) {
	t.Run("with the chain of imports that leads to it", func(t *testing.T) {
		got := failures(Rule{Package: "./testdata/planted", Ban: []string{"database/sql"}})
		require.Equal(t, []string{planted + " must not depend on database/sql:\n\t" +
			planted + "\n\t→ " + planted + "/middle\n\t→ " + planted + "/leaf\n\t→ database/sql"}, got)
	})
	t.Run("once for each package that a pattern covers", func(t *testing.T) {
		got := failures(Rule{Package: "./testdata/planted", Ban: []string{"database/..."}})
		require.Len(t, got, 2, "database/sql and database/sql/driver")
	})
	t.Run("when the package imports it itself", func(t *testing.T) {
		got := failures(Rule{Package: "./testdata/planted", BanDirect: []string{"os"}})
		require.Equal(t, []string{planted + " must not import os:\n\t" + planted + "\n\t→ os"}, got)
	})
	t.Run("under the build tags it is compiled with", func(t *testing.T) {
		rule := Rule{Package: "./testdata/planted/tagged", Ban: []string{"database/sql"}}
		require.Len(t, failures(rule), 1)
		rule.Tags = "small"
		require.Empty(t, failures(rule))
	})
}

func TestCheckAccepts(t *testing.T) {
	for name, rule := range map[string]Rule{
		"a package that is not reached":                {Ban: []string{"net/http"}},
		"a path that only begins like a banned one":    {Ban: []string{"data/...", "database", "database/s/..."}},
		"a banned package that is an exception":        {Ban: []string{"database/..."}, Allow: []string{"database/sql/..."}},
		"a direct ban on what others import":           {BanDirect: []string{"database/sql"}},
		"a rule without bans":                          {},
		"the guarded package itself under its pattern": {Ban: []string{planted}},
	} {
		t.Run(name, func(t *testing.T) {
			rule.Package = "./testdata/planted"
			require.Empty(t, failures(rule))
		})
	}
}

func TestCheckFailsForAPackageItCannotLoad(t *testing.T) {
	require.Len(t, failures(Rule{Package: "./testdata/missing"}), 1)
	require.Len(t, failures(Rule{Package: "./testdata/planted/..."}), 1, "a rule guards one package")
}

func TestDocumentedNamesTheFolderWithoutAPackageComment(t *testing.T) {
	missing, err := undocumented("testdata/undocumented", []string{"skipped"})
	require.NoError(t, err)
	require.Equal(t, []string{"bare"}, missing)
}

func TestEveryPackageIsDocumented(t *testing.T) {
	Documented(t)
}

// failures returns what Check reports for the rule.
func failures(r Rule) []string {
	rec := &recorder{}
	Check(rec, r)
	return rec.messages
}

// recorder stands in for a test that fails.
type recorder struct {
	testing.TB
	messages []string
}

func (r *recorder) Helper() {}

func (r *recorder) Error(args ...any) { r.messages = append(r.messages, fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}
