package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/surehook/surehook/activities"
	"github.com/surehook/surehook/providers"
)

// Schedule says that sources of a provider have a list read regularly. In Provider
// a * stands for any run of characters.
type Schedule struct {
	Provider string
	List     string
}

// Schedules is the table of all reconciliations: a line for each list that a
// provider has. Which of them a source runs, and when, says its declaration.
var Schedules = []Schedule{
	{Provider: "stripe", List: "events"},
	{Provider: "stripe", List: "charge"},
	{Provider: "stripe", List: "checkout-session"},
	{Provider: "stripe", List: "credit-note"},
	{Provider: "stripe", List: "customer"},
	{Provider: "stripe", List: "dispute"},
	{Provider: "stripe", List: "invoice"},
	{Provider: "stripe", List: "invoiceitem"},
	{Provider: "stripe", List: "payment-intent"},
	{Provider: "stripe", List: "payout"},
	{Provider: "stripe", List: "price"},
	{Provider: "stripe", List: "product"},
	{Provider: "stripe", List: "refund"},
	{Provider: "stripe", List: "setup-intent"},
	{Provider: "stripe", List: "subscription"},
	{Provider: "stripe", List: "subscription-schedule"},
	{Provider: "stripe", List: "transfer"},
	{Provider: "github", List: "deliveries"},
	{Provider: "github", List: "issue"},
	{Provider: "github", List: "pull-request"},
	{Provider: "jira", List: "issue"},
	{Provider: "mailchimp", List: "member"},
	{Provider: "msgraph", List: "delta"},
	{Provider: "shopify", List: "collection"},
	{Provider: "shopify", List: "customer"},
	{Provider: "shopify", List: "draft-order"},
	{Provider: "shopify", List: "inventory-item"},
	{Provider: "shopify", List: "order"},
	{Provider: "shopify", List: "product"},
	{Provider: "shopify", List: "variant"},
	{Provider: "slack", List: "message"},
	{Provider: "twilio", List: "call"},
	{Provider: "twilio", List: "conference"},
	{Provider: "twilio", List: "message"},
	{Provider: "twilio", List: "recording"},
	{Provider: "*", List: providers.Unseen},
}

// Reconciled is a source whose records are kept true on a schedule.
type Reconciled struct {
	Source   string
	Provider string        // the platform's name
	Lists    []string      // to be read, Unseen among them if wanted
	Cron     string        // when
	Lookback time.Duration // how far a run goes back before the last complete one
	Unseen   time.Duration // the age after which a record is fetched again
	Keeps    bool          // its subscriptions at the platform are kept alive
}

// Scheduled is a schedule that Temporal is to have.
type Scheduled struct {
	ID       string // of the schedule; its runs' workflow IDs begin with it
	Cron     string
	Workflow string // the name of its definition
	Input    any
	Summary  string // the line that the Web UI shows for a run

	SearchAttributes temporal.SearchAttributes
}

// SchedulesFor returns the schedules of a source, in the order of the table. The
// events come before the objects there, because what is fetched for an object
// afterwards covers its events.
func SchedulesFor(s Reconciled) []Scheduled {
	var wanted []Scheduled
	for _, line := range Schedules {
		if !providers.MatchType(line.Provider, s.Provider) || !slices.Contains(s.Lists, line.List) {
			continue
		}
		start := s.Start(line.List)
		wanted = append(wanted, Scheduled{
			ID:               ReconcileID(s.Source, line.List),
			Cron:             s.Cron,
			Workflow:         Name(Reconcile),
			Input:            ReconcileInput{ReconcileStart: start},
			Summary:          ReconcileSummary(start),
			SearchAttributes: ReconcileAttributes(start),
		})
	}
	if s.Keeps {
		wanted = append(wanted, keepSchedule(s.Source))
	}
	return wanted
}

// Start is what a regular run over the list looks at.
func (s Reconciled) Start(list string) activities.ReconcileStart {
	lookback := s.Lookback
	if list == providers.Unseen {
		lookback = s.Unseen
	}
	return activities.ReconcileStart{Source: s.Source, List: list, LookbackSeconds: int64(lookback / time.Second)}
}

// RetentionSchedule is the schedule that removes bodies and rejections which are
// older than that, each night.
func RetentionSchedule(olderThan time.Duration) Scheduled {
	return Scheduled{
		ID:       "retention",
		Cron:     "17 3 * * *",
		Workflow: Name(Retain),
		Input:    activities.RetainInput{OlderThanSeconds: int64(olderThan / time.Second)},
		Summary:  "retention: remove bodies older than " + olderThan.String(),
	}
}

// reconcilePrefix begins the names of schedules and runs that read a list.
const reconcilePrefix = "reconcile/"

// ReconcileID is the ID of the schedule that reads a source's list. Temporal adds
// the time to it for the workflow ID of each run.
func ReconcileID(source, list string) string { return fit(reconcilePrefix + source + "/" + list) }

// BackfillID is the workflow ID of a run that somebody asked for, so that the same
// window is not read twice at once.
func BackfillID(source, list string, since time.Time) string {
	window := "all"
	if !since.IsZero() {
		window = since.UTC().Format(time.RFC3339)
	}
	return fit(ReconcileID(source, list) + "/backfill/" + window)
}

// ReconcileSummary is the line the Web UI shows for a run over a list.
func ReconcileSummary(start activities.ReconcileStart) string {
	s := "reconcile " + start.Source + " " + start.List
	if start.Backfill {
		s = "backfill " + start.Source + " " + start.List
	}
	return head(s, maxSummary)
}

// ReconcileAttributes are what a run over a list can be found by in the Web UI.
func ReconcileAttributes(start activities.ReconcileStart) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SourceKey.ValueSet(start.Source))
}
