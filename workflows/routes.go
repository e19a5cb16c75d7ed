package workflows

import (
	"reflect"
	"runtime"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/surehook/surehook/providers"
)

// Definition is the shape of every workflow that an event can start.
type Definition func(workflow.Context, providers.EventRef) error

// Route says which workflow an event starts. In Source and Type a * stands for
// any run of characters.
type Route struct {
	Source   string
	Type     string
	Workflow Definition
	// Coalesce lets one run serve several events about the same object that wait
	// together: the newest one's. It is for definitions that only care for the
	// object's present state; what the others do for each event would be lost.
	Coalesce bool
}

// Routes is the table of contents of the product. The first match wins; no
// match means Sync.
var Routes = []Route{
	{Source: "stripe*", Type: "invoice.paid", Workflow: StripeInvoicePaid},
	{Source: "*", Type: "lifecycle.*", Workflow: SubscriptionLifecycle},
}

// RouteFor returns the name of the workflow that an event starts.
func RouteFor(source, eventType string) string { return Name(route(source, eventType).Workflow) }

// Coalesces reports whether one run may serve several events of this route.
func Coalesces(source, eventType string) bool { return route(source, eventType).Coalesce }

// Joins reports whether events of this route may be in a joint run, which does for
// each what Sync does.
func Joins(source, eventType string) bool { return RouteFor(source, eventType) == Name(Sync) }

func route(source, eventType string) Route {
	for _, r := range Routes {
		if providers.MatchType(r.Source, source) && providers.MatchType(r.Type, eventType) {
			return r
		}
	}
	return Route{Workflow: Sync, Coalesce: true}
}

// Definitions returns every workflow that an event can start, each once.
func Definitions() []Definition {
	all := []Definition{Sync}
	seen := map[string]bool{Name(Sync): true}
	for _, r := range Routes {
		if name := Name(r.Workflow); !seen[name] {
			seen[name] = true
			all = append(all, r.Workflow)
		}
	}
	return all
}

// All returns every workflow that a worker has to know: those that events start,
// and those that schedules do.
func All() []any {
	var all []any
	for _, d := range Definitions() {
		all = append(all, d)
	}
	return append(all, SyncMany, Reconcile, Keep, Retain)
}

// Name is the name a workflow is registered and stored under: its function's.
func Name(d any) string {
	full := runtime.FuncForPC(reflect.ValueOf(d).Pointer()).Name()
	return full[strings.LastIndexByte(full, '.')+1:]
}
