package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	temporalenv "go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"

	"github.com/surehook/surehook/ingress"
	"github.com/surehook/surehook/internal/notify"
	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/worker"
)

// config is everything the environment says. Each package owns its part.
type config struct {
	Sources string    `env:"SUREHOOK_CONFIG, default=surehook.yaml"` // the file that declares the sources
	WebUI   string    `env:"SUREHOOK_TEMPORAL_UI"`                   // base URL of the Temporal Web UI, for links
	Sandbox string    `env:"SUREHOOK_SANDBOX_URL"`                   // the sandbox of `surehook dev`, for `surehook send`
	Log     logConfig `env:", prefix=SUREHOOK_LOG_"`
	Store   store.Config
	Ingress ingress.Config
	Worker  worker.Config
	Notify  notify.Config

	unreadable error // variables that hold no value for their field
}

type logConfig struct {
	Level  slog.Level `env:"LEVEL, default=info"`
	Format string     `env:"FORMAT, default=text"`
}

func (c logConfig) Validate() error {
	if c.Format != "text" && c.Format != "json" {
		return fmt.Errorf("SUREHOOK_LOG_FORMAT: %q: want text or json", c.Format)
	}
	return nil
}

// logger writes to w, standard error in a running process.
func (c logConfig) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// environment looks variables up. What the process was given wins over what
// `surehook dev` left in its data folder.
type environment struct {
	dev map[string]string
}

func (e environment) Lookup(key string) (string, bool) {
	if v, ok := os.LookupEnv(key); ok {
		return v, true
	}
	v, ok := e.dev[key]
	return v, ok
}

// LookupEnv and Environ make it an environment for Temporal's configuration.
func (e environment) LookupEnv(key string) (string, bool) { return e.Lookup(key) }

func (e environment) Environ() []string {
	all := os.Environ()
	for k, v := range e.dev {
		if _, ok := os.LookupEnv(k); !ok {
			all = append(all, k+"="+v)
		}
	}
	return all
}

// temporalOptions reads where Temporal is, from TEMPORAL_* and the profile file
// of the temporal CLI.
func (e environment) temporalOptions() (client.Options, error) {
	opts, err := temporalenv.LoadClientOptions(temporalenv.LoadClientOptionsRequest{EnvLookup: e})
	if err != nil {
		return opts, usageError{fmt.Errorf("read TEMPORAL_* variables: %w", err)}
	}
	opts.Namespace = cmp.Or(opts.Namespace, client.DefaultNamespace)
	// What goes to Temporal is small, since bodies and states stay in the database: to
	// compress it would take a twentieth of both processes' time and save little.
	opts.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	return opts, nil
}

// temporalClient returns a client that connects when it is first used, so that
// events are accepted while Temporal is away.
func temporalClient(opts client.Options, log *slog.Logger) (client.Client, error) {
	opts.Logger = sdklog.NewStructuredLogger(log.With("part", "temporal-sdk"))
	c, err := client.NewLazyClient(opts)
	if err != nil {
		return nil, fmt.Errorf("temporal client: %w", err)
	}
	return c, nil
}

// validate joins what is wrong with several parts, as a usage error.
func validate(errs ...error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	list := strings.ReplaceAll(err.Error(), "\n", "\n  - ")
	return usageError{fmt.Errorf("configuration:\n  - %s", list)}
}

// devEnvFile is where `surehook dev` leaves the variables that let other
// commands, and the temporal CLI and psql-like tools, find it.
const devEnvFile = "dev.env"

const defaultData = ".surehook"

func addDataFlag(cmd *cobra.Command) {
	folder := cmp.Or(os.Getenv("SUREHOOK_DATA"), defaultData)
	cmd.PersistentFlags().String("data", folder, "the data folder of surehook dev (SUREHOOK_DATA)")
}

// nextFlags are what a printed next step needs to find the same data folder.
func nextFlags(cmd *cobra.Command) string {
	folder, err := cmd.Flags().GetString("data")
	if err != nil || os.Getenv("DATABASE_URL") != "" {
		return ""
	}
	return dataFlag(folder)
}

// dataFlag names a folder for another terminal, which may not have
// SUREHOOK_DATA.
func dataFlag(folder string) string {
	if folder == defaultData {
		return ""
	}
	return " --data " + folder
}

// operatorEnvironment is the environment of commands that a person runs: with
// DATABASE_URL unset it is that of the last `surehook dev` in this folder.
func operatorEnvironment(cmd *cobra.Command) (environment, error) {
	if os.Getenv("DATABASE_URL") != "" {
		return environment{}, nil
	}
	folder, err := cmd.Flags().GetString("data")
	if err != nil {
		return environment{}, err
	}
	vars, err := readEnvFile(filepath.Join(folder, devEnvFile))
	if errors.Is(err, fs.ErrNotExist) {
		return environment{}, usageError{fmt.Errorf("no DATABASE_URL is set and there is no %s in %s: run `surehook dev` here, name its folder with --data, or set DATABASE_URL", devEnvFile, folder)}
	}
	return environment{dev: vars}, err
}

func readEnvFile(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") {
			vars[key] = value
		}
	}
	return vars, lines.Err()
}
