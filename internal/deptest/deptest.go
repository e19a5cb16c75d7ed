// Package deptest checks, in tests, what a package may depend on and that
// every package says what it is for.
//
// Call [Check] from a test inside the guarded package. Go caches test results
// by what the test binary is built from, so a check that lives elsewhere and
// asks the go command about the guarded package can be answered from the cache
// although the imports have changed.
package deptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// A Rule says what one package must not depend on. Test files do not count.
//
// Ban, BanDirect and Allow hold import paths. One that ends in "/..." also
// covers everything below it, as with the go command.
type Rule struct {
	// Package is the guarded package: "." for the one whose test is running,
	// or any other single package the go command understands.
	Package string

	// Ban lists packages that must not be reached at all, however long the
	// way. Standard library packages that the allowed libraries need
	// themselves, such as net/http below an SDK, belong in BanDirect.
	Ban []string

	// BanDirect lists packages that the guarded package must not import
	// itself.
	BanDirect []string

	// Allow lists exceptions to both.
	Allow []string

	// Tags are build tags, separated by commas, under which the imports are
	// resolved.
	Tags string
}

// Check fails the test for every package that r bans and the guarded package
// reaches, and shows the shortest chain of imports that leads to it.
func Check(t testing.TB, r Rule) {
	t.Helper()
	found, err := violations(r)
	if err != nil {
		t.Fatalf("check imports: %v", err)
		return
	}
	for _, v := range found {
		t.Error(v)
	}
}

func violations(r Rule) ([]string, error) {
	root, err := load(r)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, chain := range reach(root) {
		last := chain[len(chain)-1]
		direct := len(chain) == 2
		banned := matches(r.Ban, last) || direct && matches(r.BanDirect, last)
		if !banned || matches(r.Allow, last) {
			continue
		}
		verb := "must not depend on"
		if direct {
			verb = "must not import"
		}
		found = append(found, fmt.Sprintf("%s %s %s:\n\t%s", root.PkgPath, verb, last, strings.Join(chain, "\n\t→ ")))
	}
	slices.Sort(found)
	return found, nil
}

func load(r Rule) (*packages.Package, error) {
	cfg := &packages.Config{
		Mode:       packages.NeedName | packages.NeedImports | packages.NeedDeps,
		BuildFlags: []string{"-tags=" + r.Tags},
	}
	pkgs, err := packages.Load(cfg, r.Package)
	if err != nil {
		return nil, fmt.Errorf("load %q: %w", r.Package, err)
	}
	if len(pkgs) != 1 {
		return nil, fmt.Errorf("load %q: want one package, found %d", r.Package, len(pkgs))
	}
	// A package that cannot be loaded has no imports and would break no rule.
	var broken error
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		if len(p.Errors) > 0 && broken == nil {
			broken = fmt.Errorf("load %s: %w", p.PkgPath, p.Errors[0])
		}
	})
	return pkgs[0], broken
}

// reach returns, for every package below root, the shortest chain of imports
// from root to it. It walks breadth first, in the order of import paths, so
// that the same chain is reported each time.
func reach(root *packages.Package) [][]string {
	type step struct {
		pkg   *packages.Package
		chain []string
	}
	var chains [][]string
	seen := map[string]bool{root.PkgPath: true}
	for queue := []step{{root, []string{root.PkgPath}}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, path := range sortedImports(at.pkg) {
			next := at.pkg.Imports[path]
			if seen[next.PkgPath] {
				continue
			}
			seen[next.PkgPath] = true
			chain := append(slices.Clone(at.chain), next.PkgPath)
			chains = append(chains, chain)
			queue = append(queue, step{next, chain})
		}
	}
	return chains
}

func sortedImports(p *packages.Package) []string {
	paths := make([]string, 0, len(p.Imports))
	for path := range p.Imports {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		base, below := strings.CutSuffix(pattern, "/...")
		return path == base || below && strings.HasPrefix(path, base+"/")
	})
}
