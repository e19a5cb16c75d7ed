//go:build !nodev

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
	enums "go.temporal.io/api/enums/v1"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/devserver"
	"github.com/surehook/surehook/sandbox"
	"github.com/surehook/surehook/workflows"
)

const devHelp = `Dev runs all of Surehook in one process, with nothing to install: a Temporal server with its Web UI, an
SQLite database, a sandbox that plays the platforms, ingress, relay and worker. Everything it keeps is in
the data folder, and is there again when it starts next time.

Without --config it writes a commented surehook.yaml into the data folder and uses that. It listens on
loopback only. Where a usual port is taken it takes a free one and says so.`

// The usual addresses of `surehook dev`.
const (
	devWebhooks = "127.0.0.1:8080"
	devAdmin    = "127.0.0.1:8081"
	devSandbox  = "127.0.0.1:8090"
	devTemporal = "127.0.0.1:7233"
	devWebUI    = "127.0.0.1:8233"
)

func devCommand() *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process on this machine",
		Long:  devHelp,
		Example: `  surehook dev
  surehook dev --data /tmp/try --config surehook.yaml`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := cmd.Flags().GetString("data")
			if err != nil {
				return err
			}
			return runDev(cmd.Context(), folder, configFile, cmd.OutOrStdout())
		},
	}
	addDataFlag(cmd)
	cmd.Flags().StringVar(&configFile, "config", os.Getenv("SUREHOOK_CONFIG"), "the file that declares the sources (SUREHOOK_CONFIG)")
	return cmd
}

func runDev(ctx context.Context, folder, configFile string, out io.Writer) (err error) {
	began := time.Now()
	unlock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer unlock()

	d := &dev{folder: folder, out: out}
	if d.env, err = d.environment(configFile); err != nil {
		return err
	}
	cfg := d.env.load(ctx)
	logger := cfg.Log.logger(os.Stderr)
	temporal, err := d.startTemporal(ctx, logger)
	if err != nil {
		return err
	}
	defer temporal.Stop()

	sys, err := open(ctx, d.env, cfg, logger)
	if err != nil {
		return err
	}
	defer sys.close()
	if err := sys.store.Migrate(ctx); err != nil {
		return err
	}
	stopSandbox, err := d.startSandbox(sys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopSandbox()) }()
	if err := d.writeEnvFile(); err != nil {
		return err
	}
	sys.listening = func(*ingress.Server) { d.greet(time.Since(began)) }
	defer func() {
		if err == nil {
			fmt.Fprintln(d.out, "\nstopped")
		}
	}()
	return sys.run(ctx, true, true)
}

// dev is a running `surehook dev`.
type dev struct {
	folder string
	out    io.Writer
	env    environment // with the variables this run chose
	moved  []string    // what to say about ports that were taken
}

// lockFolder makes sure that only one process uses the folder: two Temporal
// servers on one file would corrupt it.
func lockFolder(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	lock := flock.New(filepath.Join(folder, "lock"))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if !got {
		return nil, usageError{fmt.Errorf("another `surehook dev` is using %s: stop it, or name another folder with --data", folder)}
	}
	return func() { _ = lock.Unlock() }, nil
}

// environment chooses the variables of this run. Those that the process was
// given win, so that `dev` can also be pointed at a real platform.
func (d *dev) environment(configFile string) (environment, error) {
	secrets, err := d.secrets()
	if err != nil {
		return environment{}, err
	}
	folder, err := filepath.Abs(d.folder)
	if err != nil {
		return environment{}, err
	}
	vars := map[string]string{
		"DATABASE_URL":          "sqlite:" + filepath.Join(folder, "surehook.db"),
		"SUREHOOK_LISTEN":       d.address("webhooks", devWebhooks),
		"SUREHOOK_ADMIN_LISTEN": d.address("health and metrics", devAdmin),
		"TEMPORAL_ADDRESS":      d.address("Temporal", devTemporal),
		"SUREHOOK_TEMPORAL_UI":  "http://" + d.address("Temporal Web UI", devWebUI),
		"SUREHOOK_SANDBOX_URL":  "http://" + d.address("sandbox", devSandbox),
		"SUREHOOK_LOG_LEVEL":    "warn",
	}
	vars["SUREHOOK_NOTIFY_URL"] = vars["SUREHOOK_SANDBOX_URL"] + "/receiver"
	maps.Copy(vars, secrets)
	vars["SUREHOOK_CONFIG"] = configFile
	if configFile == "" {
		vars["SUREHOOK_CONFIG"], err = d.exampleConfig(folder)
	}
	return environment{dev: vars}, err
}

// address returns the usual address or, where another program has it, a free one.
func (d *dev) address(what, usual string) string {
	l, err := net.Listen("tcp", usual)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return usual // whoever listens there will say what is wrong
		}
		d.moved = append(d.moved, fmt.Sprintf("%s is taken, so %s is at %s", usual, what, l.Addr()))
	}
	defer l.Close()
	return l.Addr().String()
}

// secrets are made once and kept with the data, so that requests signed before
// a restart verify after it. Those of platforms that a newer version plays are
// added.
func (d *dev) secrets() (map[string]string, error) {
	path := filepath.Join(d.folder, "secrets.env")
	vars, err := readEnvFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		vars, err = map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	known := len(vars)
	if vars["SANDBOX_API_KEY"] == "" {
		vars["SANDBOX_API_KEY"] = "sandbox_" + rand.Text()
	}
	for _, name := range sandbox.Names() {
		if variable := sandboxSecret(name); vars[variable] == "" {
			vars[variable] = newSecret()
		}
	}
	if len(vars) == known {
		return vars, nil
	}
	return vars, writeEnv(path, "Made by `surehook dev` for its sandbox.", vars)
}

// sandboxSecret is the variable with the secret that the sandbox signs with.
func sandboxSecret(platform string) string {
	return "SANDBOX_" + strings.ToUpper(strings.ReplaceAll(platform, "-", "_")) + "_SECRET"
}

// newSecret has the form that Standard Webhooks asks for; to the other platforms
// it is a text like any other.
func newSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

func (d *dev) writeEnvFile() error {
	return writeEnv(filepath.Join(d.folder, devEnvFile), "Where the last `surehook dev` of this folder is. Other commands read it; a shell can, too.", d.env.dev)
}

func writeEnv(path, comment string, vars map[string]string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n", comment)
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&text, "%s=%s\n", key, vars[key])
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// exampleConfig writes the example for who has no file yet, and leaves one
// alone that is there: it may have been edited.
func (d *dev) exampleConfig(folder string) (string, error) {
	path := filepath.Join(folder, "surehook.yaml")
	_, err := os.Stat(path)
	if err == nil {
		return path, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("look for the configuration: %w", err)
	}
	if err := os.WriteFile(path, []byte(exampleSources), 0o600); err != nil {
		return "", fmt.Errorf("write example configuration: %w", err)
	}
	return path, nil
}

func (d *dev) startTemporal(ctx context.Context, logger *slog.Logger) (*devserver.Server, error) {
	attributes := map[string]enums.IndexedValueType{}
	for _, key := range workflows.SearchAttributeKeys {
		attributes[key.GetName()] = key.GetValueType()
	}
	return devserver.Start(ctx, devserver.Options{
		DatabaseFile:     filepath.Join(d.folder, "temporal.db"),
		Port:             port(d.env.dev["TEMPORAL_ADDRESS"]),
		UI:               true,
		UIPort:           port(strings.TrimPrefix(d.env.dev["SUREHOOK_TEMPORAL_UI"], "http://")),
		SearchAttributes: attributes,
		Logger:           logger.With("part", "temporal"),
	})
}

// port is the port of an address that this process chose itself.
func port(address string) int {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return 0
	}
	return a.Port
}

// startSandbox plays the platforms of the configured sources: it signs with
// their secrets and sends to their URLs.
func (d *dev) startSandbox(sys *system) (stop func() error, err error) {
	sb, err := sandbox.Open(sandbox.Config{
		Dir:       d.folder,
		Platforms: d.platforms(sys),
		Log:       sys.logger,
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", strings.TrimPrefix(sys.cfg.Sandbox, "http://"))
	if err != nil {
		return nil, fmt.Errorf("listen for the sandbox: %w", err)
	}
	server := &http.Server{Handler: sb, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			sys.logger.Error("sandbox stopped", "error", err)
		}
	}()
	return func() error { return errors.Join(server.Close(), sb.Close()) }, nil
}

// platforms is the sandbox's side of the first source of each provider.
func (d *dev) platforms(sys *system) map[string]sandbox.PlatformConfig {
	platforms := map[string]sandbox.PlatformConfig{}
	for _, s := range sys.sources {
		if _, played := platforms[s.Provider]; played {
			continue
		}
		platforms[s.Provider] = sandbox.PlatformConfig{
			Provider: s.provider,
			Secrets:  s.Secrets,
			Key:      s.API.Key,
			Target:   webhookURL(sys.cfg.Ingress.Listen, s.Name),
			Public:   publicURL(sys.cfg.Ingress.PublicURL, s.Name),
		}
	}
	return platforms
}

// greet says where everything is, and what to type next.
func (d *dev) greet(took time.Duration) {
	vars := d.env.dev
	fmt.Fprintf(d.out, "surehook dev is ready after %s\n\n", took.Round(10*time.Millisecond))
	for _, m := range d.moved {
		fmt.Fprintf(d.out, "  note: %s\n", m)
	}
	_ = printFields(d.out, []field{
		{"  webhooks", "http://" + vars["SUREHOOK_LISTEN"] + "/webhooks/{source}"},
		{"  Temporal Web UI", vars["SUREHOOK_TEMPORAL_UI"]},
		{"  health, metrics", "http://" + vars["SUREHOOK_ADMIN_LISTEN"] + "/readyz"},
		{"  sandbox", vars["SUREHOOK_SANDBOX_URL"]},
		{"  sources", vars["SUREHOOK_CONFIG"]},
		{"  data", d.folder},
	})
	fmt.Fprintf(d.out, devNext, "send stripe invoice.paid"+dataFlag(d.folder))
}

const devNext = `
Next, in a second terminal:

  surehook %[1]s     (or: go run ./cmd/surehook %[1]s)

Ctrl-C stops it; the data stays.
`
