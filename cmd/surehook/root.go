package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surehook/surehook/providers"
)

const rootHelp = `Surehook receives webhooks, makes each one durable before it answers, and has
Temporal workflows fetch the authoritative state from the platform and keep your
records true.

Try it:

  surehook dev                          everything in one process, on this machine
  surehook send stripe invoice.paid     in a second terminal: a signed event
  surehook events list                  what became of it

Commands that read or resolve use the running (or last) ` + "`surehook dev`" + ` of this
folder, unless DATABASE_URL says otherwise.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found. (` + "`go run`" + `
makes 1 of 2 and 3: scripts want the built binary.)`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "surehook",
		Short:         "The durable webhook receiver on Temporal",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version + revision(),
	}
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see `%s --help`)", err, cmd.CommandPath())}
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look and act:"},
	)
	in := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	in("run", devCommand(), serveCommand(), ingressCommand(), workerCommand(), migrateCommand())
	in("look", sendCommand(), eventsCommand(), recordsCommand(), rejectionsCommand(), resolveCommand(), replayCommand(), reconcileCommand(),
		eraseCommand(), erasuresCommand())
	root.AddCommand(versionCommand())
	return root
}

// arguments asks for the named ones; up to optional further ones may come
// before them.
func arguments(optional int, names ...string) cobra.PositionalArgs {
	return usage(func(_ *cobra.Command, args []string) error {
		switch most := optional + len(names); {
		case len(args) < len(names):
			return fmt.Errorf("missing <%s>", strings.Join(names[len(args):], "> <"))
		case len(args) > most:
			return fmt.Errorf("unexpected argument %q", args[most])
		}
		return nil
	})
}

// group makes a command that only holds others. Cobra would answer a
// subcommand that does not exist with help and success.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(subcommands...)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = ": did you mean " + strings.Join(near, " or ") + "?"
		}
		return usageError{fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// usage makes what is wrong with the arguments a usage error, and shows how to
// call.
func usage(valid cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := valid(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

func isNotFound(err error) bool { return errors.Is(err, providers.ErrNotFound) }
