//go:build unix

package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// environment is what the figures depend on.
type environment struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryGiB int    `json:"memory_gib"`
	Kernel    string `json:"kernel"`
	// SyncMicros is the median time to write 8 kB and wait for the disk.
	SyncMicros int64  `json:"sync_micros"`
	Load       string `json:"load"` // /proc/loadavg before the case
	Go         string `json:"go"`
	Postgres   string `json:"postgres"`
	Settings   string `json:"postgres_settings"`
	Temporal   string `json:"temporal"`
	Shards     int    `json:"shards"`
	SDK        string `json:"sdk"`
	Driver     string `json:"driver"`
	Commit     string `json:"commit"`
}

func describe(ctx context.Context, db *sql.DB, s *settings) (environment, error) {
	e := environment{
		CPU:       firstField("/proc/cpuinfo", "model name"),
		Cores:     runtime.NumCPU(),
		MemoryGiB: memoryGiB(),
		Kernel:    commandLine(ctx, "uname", "-sr"),
		Go:        runtime.Version(),
		Temporal:  moduleVersion("go.temporal.io/server"),
		SDK:       moduleVersion("go.temporal.io/sdk"),
		Driver:    "lib/pq " + moduleVersion("github.com/lib/pq"),
		Settings:  strings.Join(slices.Concat(postgresSettings, s.postgres), ", "),
		Shards:    s.shards,
		Commit:    commandLine(ctx, "git", "rev-parse", "--short=12", "HEAD"),
	}
	if dirty := commandLine(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "go.mod"); dirty != "" {
		e.Commit += " with uncommitted changes"
	}
	load, _ := os.ReadFile("/proc/loadavg") // not everywhere
	e.Load = strings.TrimSpace(string(load))
	if err := db.QueryRowContext(ctx, "SHOW server_version").Scan(&e.Postgres); err != nil {
		return e, err
	}
	took, err := syncTime()
	e.SyncMicros = took.Microseconds()
	return e, err
}

func firstField(file, name string) string {
	raw, _ := os.ReadFile(file) // not everywhere
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memoryGiB() int {
	var kB int
	_, _ = fmt.Sscanf(firstField("/proc/meminfo", "MemTotal"), "%d kB", &kB) // 0 where it is unknown
	return (kB + 1<<19) >> 20
}

// commandLine is what a command prints, or nothing.
func commandLine(ctx context.Context, name string, args ...string) string {
	out, _ := exec.CommandContext(ctx, name, args...).Output() // the report says what is known
	return string(bytes.TrimSpace(out))
}

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}

// syncTime is the median time of a write that waits for the disk: the least
// that a commit can take.
func syncTime() (time.Duration, error) {
	f, err := os.CreateTemp("", "surehook-sync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 8192)
	took := make([]time.Duration, 100)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return quantile(took, 0.5), nil
}
