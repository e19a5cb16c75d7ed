// Package deploy_test checks what no compiler reads: the Docker files, and what
// they and the code say of each other.
package deploy_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/deploy/temporal"
	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/providers/all"
)

// root is the module's folder.
const root = ".."

type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string                `yaml:"image"`
	Build       any                   `yaml:"build"`
	Command     any                   `yaml:"command"`
	Environment map[string]string     `yaml:"environment"`
	DependsOn   map[string]dependency `yaml:"depends_on"`
	Volumes     []string              `yaml:"volumes"`
	Restart     string                `yaml:"restart"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

type dependency struct {
	Condition string `yaml:"condition"`
}

// isJob says that the service runs once and ends.
func (s service) isJob() bool { return s.Restart == "no" }

func (s service) hasHealthcheck() bool { return len(s.Healthcheck.Test) > 0 }

// isOurs says that the service is Surehook's own.
func (s service) isOurs() bool { return s.Build != nil }

func TestComposeServices(t *testing.T) {
	c := readCompose(t)
	require.Len(t, c.Services, 9)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$`)
	for name, s := range c.Services {
		t.Run(name, func(t *testing.T) {
			if !s.isOurs() {
				require.Regexp(t, pinned, s.Image, "an image has the tag of one release")
			}
			require.NotEqual(t, s.isJob(), s.hasHealthcheck(), "a service is a job or has a health check")
			for on, d := range s.DependsOn {
				target, ok := c.Services[on]
				require.True(t, ok, "depends on %q", on)
				switch d.Condition {
				case "service_healthy":
					require.True(t, target.hasHealthcheck(), "%q has no health check", on)
				case "service_completed_successfully":
					require.True(t, target.isJob(), "%q does not end", on)
				default:
					t.Errorf("depends on %q: condition %q", on, d.Condition)
				}
			}
			for _, v := range s.Volumes {
				from, _, _ := strings.Cut(v, ":")
				if strings.HasPrefix(from, "./") {
					require.FileExists(t, filepath.Join(root, from))
				} else {
					require.Contains(t, c.Volumes, from)
				}
			}
		})
	}
}

func TestComposeSetsOnlyVariablesThatAreRead(t *testing.T) {
	c := readCompose(t)
	known := variablesOfTheCode(t)
	require.True(t, known("DATABASE_URL"))
	require.True(t, known("SUREHOOK_LOG_FORMAT"), "with the prefix of its part")
	require.False(t, known("SUREHOOK_NO_SUCH_THING"))

	referenced := references(t, "deploy/surehook.yaml")
	for name, s := range c.Services {
		if !s.isOurs() {
			continue
		}
		for variable := range s.Environment {
			require.True(t, known(variable) || slices.Contains(referenced, variable), "service %s sets %s, which nothing reads", name, variable)
		}
		for _, variable := range referenced {
			require.Contains(t, s.Environment, variable, "deploy/surehook.yaml refers to it, service %s does not set it", name)
		}
	}
	for _, match := range regexp.MustCompile(`\b(SUREHOOK_[A-Z_]+|DATABASE_URL)=`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		require.True(t, known(match[1]), "the Dockerfile sets %s, which nothing reads", match[1])
	}
}

func TestExampleEnvironmentHasWhatComposeAsksFor(t *testing.T) {
	var offered []string
	for _, match := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllStringSubmatch(read(t, "deploy/example.env"), -1) {
		offered = append(offered, match[1])
	}
	asked := references(t, "docker-compose.yml")
	for _, variable := range asked {
		if variable != "SUREHOOK_VERSION" { // has a default, and only names the image
			require.Contains(t, offered, variable)
		}
	}
	for _, variable := range offered {
		require.Contains(t, asked, variable, "nothing uses it")
	}
}

func TestSourcesOfTheStackAreValid(t *testing.T) {
	declared, err := sources.Load(filepath.Join(root, "deploy/surehook.yaml"), func(name string) (string, bool) {
		return "secret-of-" + name, slices.Contains(references(t, "docker-compose.yml"), name)
	})
	require.NoError(t, err)
	require.NotEmpty(t, declared)
	for _, d := range declared {
		_, err := all.New(d.Provider, d.API, d.Settings)
		require.NoError(t, err)
	}
}

func TestVersionsAndSettingsAgree(t *testing.T) {
	mod, compose, dockerfile := read(t, "go.mod"), read(t, "docker-compose.yml"), read(t, "Dockerfile")
	server := find(t, mod, `go\.temporal\.io/server v(\S+)`)
	ui := find(t, mod, `github\.com/temporalio/ui-server/v2 v(\S+)`)
	require.Contains(t, compose, "temporalio/server:"+server+"\n", "the stack runs the server that the tests run")
	require.Contains(t, compose, "temporalio/admin-tools:"+server+"\n")
	require.Contains(t, compose, "temporalio/ui:"+ui+"\n")
	require.Equal(t, temporal.GOGC, readCompose(t).Services["temporal"].Environment["GOGC"])
	require.Equal(t, find(t, mod, `(?m)^go (\S+)$`), find(t, dockerfile, `FROM golang:([0-9.]+)`))
	require.Equal(t, find(t, read(t, "Makefile"), `LINT_VERSION := (\S+)`), find(t, read(t, ".ci/run"), `lint_version=(\S+)`))
}

func TestImageIsMinimal(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	_, final, found := strings.Cut(dockerfile, "\nFROM scratch\n")
	require.True(t, found)
	require.NotContains(t, final, "\nFROM ", "it is the last stage")
	require.NotContains(t, final, "\nRUN ", "there is no shell")
	require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, final)
	require.Contains(t, dockerfile, "-tags nodev")
	require.Contains(t, dockerfile, "CGO_ENABLED=0")
	require.NotContains(t, dockerfile+read(t, "docker-compose.yml"), ":latest")
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	// A key beside a merged mapping that has it too wins, in Compose and with
	// this option; without it the library calls that a duplicate.
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "docker-compose.yml")), yaml.AllowDuplicateMapKey())
	require.NoError(t, decoder.Decode(&c))
	require.Contains(t, c.Services["ingress"].Environment, "SUREHOOK_LISTEN", "its own variables")
	require.Contains(t, c.Services["ingress"].Environment, "DATABASE_URL", "and those that all share")
	return c
}

// references are the variables that a file names as ${NAME…}.
func references(t *testing.T, file string) []string {
	t.Helper()
	names := map[string]bool{}
	for _, match := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(read(t, file), -1) {
		names[match[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// variablesOfTheCode collects the env tags of all configuration structs, with
// the prefixes under which they are nested. TEMPORAL_* belong to Temporal's SDK.
func variablesOfTheCode(t *testing.T) func(string) bool {
	t.Helper()
	tag := regexp.MustCompile("`[^`]*env:\"([A-Z_]*)(?:, *prefix=([A-Z_]+))?")
	names, prefixes := map[string]bool{}, []string{""}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range tag.FindAllStringSubmatch(string(source), -1) {
			if match[1] != "" {
				names[match[1]] = true
			}
			if match[2] != "" {
				prefixes = append(prefixes, match[2])
			}
		}
		return nil
	})
	require.NoError(t, err)
	return func(variable string) bool {
		return strings.HasPrefix(variable, "TEMPORAL_") || slices.ContainsFunc(prefixes, func(prefix string) bool {
			rest, ok := strings.CutPrefix(variable, prefix)
			return ok && names[rest]
		})
	}
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.Len(t, match, 2, "pattern %s", pattern)
	return match[1]
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return string(content)
}
