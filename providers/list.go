package providers

import (
	"context"
	"time"
)

// Lister is a Provider whose platform can list what it has, so that a
// reconciliation finds what no webhook told.
type Lister interface {
	// Lists returns the lists that this source has, by its settings. Their names
	// are stored, so they are for ever.
	Lists() []List
	// List returns one page of a list. It makes one call of the API, and is
	// repeated with the same query until its page has been saved, so it must not
	// change anything at the platform. Pages may overlap and repeat objects; what
	// was there when the list began must be in one of them. The error is
	// ErrNoSuchList for a name that Lists does not have, ErrStaleCursor when the
	// platform no longer takes the query's cursor or mark, else an *APIError.
	List(ctx context.Context, q ListQuery) (Page, error)
}

// List is a list that a platform offers.
type List struct {
	// Name is short, of a-z, 0-9 and -: it becomes part of workflow and schedule IDs.
	Name string
	// Event is a type of event that tells what this list shows, such as
	// "invoice.updated". A source that takes no such events does not run the list
	// unless its declaration names it. Empty for a list of events.
	Event string
}

// Unseen is the name of a list that no provider has: our own records that neither a
// fetch nor a list has shown for long. Each is fetched again, which finds deletions,
// and changes that no list and no event told of.
const Unseen = "unseen"

// ListQuery asks for one page.
type ListQuery struct {
	List string
	// Since asks for what was changed then or later; where the platform can only
	// tell what was created since, for that. Zero asks for everything that the
	// platform still shows.
	Since time.Time
	// Cursor is the Next of the page before; empty for the first.
	Cursor string
	// Mark is the Mark of the last complete run, where a platform has a feed of
	// changes that goes on from there. It is empty for the first run and for those
	// that were told a Since by hand.
	Mark string
}

// Page is one page of a list.
type Page struct {
	Objects []Listed
	Events  []ListedEvent
	Next    string // the cursor of the next page; empty when this is the last
	// Mark is where the next run goes on, where Since would not say so; it counts
	// once the last page has been saved.
	Mark string
}

// Listed is an object as a list shows it.
type Listed struct {
	// Object is what the list says. Deleted means that the platform says so itself;
	// an object that is merely missing is not listed.
	Object
	// Partial says that the state is not what Fetch would return, so that only the
	// times and validators of the two can be compared. Without either, a partial
	// object is fetched each time.
	Partial bool
}

// ListedEvent is an event that the platform has sent, or has tried to.
type ListedEvent struct {
	// ID is the event's ID as Events would read it off the request. It tells
	// whether the inbox has the event.
	ID string
	// Request returns the request as the platform sent it, for Events to read: its
	// headers, body and time, without a proof. It makes at most one call of the
	// API, and only events that the inbox does not have are asked for it. The error
	// is ErrNotFound when the platform no longer has it.
	Request func(ctx context.Context) (Request, error)
}
