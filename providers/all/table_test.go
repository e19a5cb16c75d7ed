package all_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/all"
	"github.com/surehook/surehook/sandbox"
)

var update = flag.Bool("update", false, "write the tables of docs/platforms.md anew")

// TestTheTablesOfPlatformsAreTrue compares docs/platforms.md with the code.
func TestTheTablesOfPlatformsAreTrue(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "platforms.md")
	committed, err := os.ReadFile(file)
	require.NoError(t, err)
	want := string(committed)
	for name, rows := range map[string][][]string{"requests": requestRows(t), "work": workRows(t), "lists": listRows(t)} {
		want = replaceTable(t, want, name, rows)
	}
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(committed), "run go test ./providers/all -update, and look at the diff")
}

func TestNoFactIsAboutAPlatformThatDoesNotExist(t *testing.T) {
	for name := range facts {
		require.Contains(t, all.Names(), name)
	}
	for name := range lists {
		require.Contains(t, all.Names(), name)
	}
}

// replaceTable puts the table between its two marks.
func replaceTable(t *testing.T, text, name string, rows [][]string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	before, rest, found := strings.Cut(text, begin)
	require.True(t, found, "docs/platforms.md has no %s", begin)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found, "docs/platforms.md has no %s", end)
	var table strings.Builder
	for i, row := range rows {
		table.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			table.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return before + begin + table.String() + end + after
}

func requestRows(t *testing.T) [][]string {
	rows := [][]string{{"platform", "what proves a request", "age", "event ID", "answered without being stored", "methods", "token in the URL"}}
	for _, p := range platforms(t) {
		endpoint := p.endpoint()
		rows = append(rows, []string{
			p.link(t), p.signature, orDash(p.age), p.ids, orDash(p.asks),
			strings.Join(slices.Concat([]string{http.MethodPost}, endpoint.Methods), ", "), mark(endpoint.PathToken),
		})
	}
	return rows
}

func workRows(t *testing.T) [][]string {
	rows := [][]string{{"platform", "events in a request", "objects", "unchanged is free", "settings", "answer within", "retries", "sandbox"}}
	for _, p := range platforms(t) {
		events := "one"
		if p.many {
			events = "many"
		}
		rows = append(rows, []string{
			p.name, events, p.objects(), mark(p.unchanged), orDash(strings.Join(p.settings(), ", ")), orDash(p.deadline), p.retries,
			mark(slices.Contains(sandbox.Names(), p.name)),
		})
	}
	return rows
}

func listRows(t *testing.T) [][]string {
	rows := [][]string{{"platform", "lists", "with the settings", "what they show", "what they do not"}}
	for _, p := range platforms(t) {
		known, listed := lists[p.name]
		lister, ok := p.provider.(providers.Lister)
		if p.ownCode() {
			require.Equal(t, ok, listed, "%s has lists that its facts do not name, or the other way round", p.name)
		}
		if !listed {
			continue
		}
		var names []string
		for _, name := range known.names {
			names = append(names, "`"+name+"`")
		}
		for _, list := range lister.Lists() {
			require.Contains(t, known.names, list.Name, "%s has a list that its facts do not name", p.name)
		}
		rows = append(rows, []string{p.name, strings.Join(names, ", "), orDash(known.settings), known.shows, known.hides})
	}
	return rows
}

// undeclared is what a source declares a platform of its own with. It is none by
// itself; docs/declaring.md is about it.
const undeclared = "generic"

// entry is one platform: what its code says, and what the facts say.
type entry struct {
	fact
	name     string
	provider providers.Provider
}

func platforms(t *testing.T) []entry {
	t.Helper()
	var entries []entry
	for _, name := range all.Names() {
		if name == undeclared {
			continue
		}
		known, ok := facts[name]
		require.True(t, ok, "%s has no line in facts", name)
		p, err := all.New(name, providers.APIConfig{}, nil)
		require.NoError(t, err)
		e := entry{fact: known, name: name, provider: p}
		e.check(t)
		entries = append(entries, e)
	}
	return entries
}

// check finds facts that the code contradicts.
func (e entry) check(t *testing.T) {
	t.Helper()
	_, handshakes := e.provider.(providers.Handshaker)
	_, probes := e.provider.(providers.Prober)
	_, fetches := e.provider.(providers.Fetcher)
	if e.asks != "" {
		require.True(t, handshakes || probes, "%s answers no %s", e.name, e.asks)
	}
	if e.ownCode() {
		require.Equal(t, handshakes || probes, e.asks != "", "%s answers something that its facts do not name", e.name)
	}
	require.True(t, fetches || !e.unchanged, "%s fetches nothing", e.name)
}

// ownCode says that the provider is code for this platform, rather than the
// declared sender, which is able to do whatever a declaration says.
func (e entry) ownCode() bool {
	return path.Base(reflect.TypeOf(e.provider).Elem().PkgPath()) == e.name
}

func (e entry) endpoint() providers.Endpoint {
	if p, ok := e.provider.(providers.Endpointer); ok {
		return p.Endpoint()
	}
	return providers.Endpoint{}
}

func (e entry) objects() string {
	switch _, fetches := e.provider.(providers.Fetcher); {
	case !fetches:
		return "from events"
	case e.ownCode():
		return "fetched"
	default:
		return "fetched where declared"
	}
}

// settings returns the names of the platform's settings in the configuration.
func (e entry) settings() []string {
	s := all.Settings(e.name)
	if s == nil {
		return nil
	}
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeOf(s).Elem()) {
		if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" && name != "-" {
			names = append(names, "`"+name+"`")
		}
	}
	return names
}

// link is the platform's name, which leads to its runbook. Some share one.
func (e entry) link(t *testing.T) string {
	t.Helper()
	page := "runbooks/" + e.name + ".md"
	if !strings.Contains(readPage(t, page), "\n**Endpoint.**") {
		page = "runbooks/declared.md"
		require.Contains(t, readPage(t, page), "`"+e.name+"`", "%s has no runbook", e.name)
	}
	return fmt.Sprintf("[%s](%s)", e.name, page)
}

// readPage returns the text of a page below docs/, or nothing where there is none.
func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return string(text)
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

func mark(yes bool) string {
	if yes {
		return "yes"
	}
	return "–"
}
