package deptest

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Documented fails the test for every package of the module around the
// working folder that has no package comment. Folders that the go command
// skips (testdata, and names that begin with a dot or an underscore) and those
// named in skip, relative to the module's root, do not count.
//
// It reads the files itself: what a test opens becomes part of the key of Go's
// test cache, what a child process reads does not.
func Documented(t testing.TB, skip ...string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatalf("check package comments: %v", err)
		return
	}
	dirs, err := undocumented(root, skip)
	if err != nil {
		t.Fatalf("check package comments: %v", err)
		return
	}
	for _, dir := range dirs {
		t.Errorf("package %s has no package comment: say in one sentence what it is for", dir)
	}
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working folder")
		}
		dir = parent
	}
}

func undocumented(root string, skip []string) ([]string, error) {
	documented := map[string]bool{} // folder with Go files → has a comment
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if rel != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains(skip, rel)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		has, err := hasPackageComment(path)
		if err != nil {
			return err
		}
		// A folder with nothing but tests counts too; a comment in a test
		// file does for it, but not for a package that has other files.
		dir := filepath.Dir(rel)
		if strings.HasSuffix(name, "_test.go") && !onlyTests(filepath.Dir(path)) {
			return nil
		}
		documented[dir] = documented[dir] || has
		return nil
	})
	if err != nil {
		return nil, err
	}
	var missing []string
	for dir, has := range documented {
		if !has {
			missing = append(missing, dir)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func onlyTests(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return !slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, "_test.go") })
}

func hasPackageComment(path string) (bool, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return false, fmt.Errorf("parse: %w", err)
	}
	return strings.TrimSpace(file.Doc.Text()) != "", nil
}
