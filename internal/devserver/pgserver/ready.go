//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is a day, the shortest that production servers commonly allow.
const retention = 24 * time.Hour

// awaitReady waits for the server, registers what is missing, and waits until
// the server's caches know it.
func awaitReady(ctx context.Context, hostPort string, o Options) error {
	var c client.Client
	err := until(ctx, "connect", func() (err error) {
		c, err = client.DialContext(ctx, client.Options{
			HostPort:  hostPort,
			Namespace: o.Namespace,
			Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		})
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := until(ctx, "register namespace", func() error { return registerNamespace(ctx, c, o.Namespace) }); err != nil {
		return err
	}
	if err := until(ctx, "add search attributes", func() error { return addSearchAttributes(ctx, c, o) }); err != nil {
		return err
	}
	return until(ctx, "list workflows", func() error { return listWorkflows(ctx, c, o) })
}

// until tries again, for a server that is coming up.
func until(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func registerNamespace(ctx context.Context, c client.Client, name string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if errors.As(err, &exists) {
		return nil
	}
	return err
}

func addSearchAttributes(ctx context.Context, c client.Client, o Options) error {
	if len(o.SearchAttributes) == 0 {
		return nil
	}
	// Those that exist already are left alone.
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        o.Namespace,
		SearchAttributes: o.SearchAttributes,
	})
	return err
}

// listWorkflows succeeds when namespace and search attributes can be used.
func listWorkflows(ctx context.Context, c client.Client, o Options) error {
	var uses []string
	for name := range o.SearchAttributes {
		uses = append(uses, "`"+name+"` IS NULL")
	}
	_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: strings.Join(uses, " OR ")})
	return err
}
