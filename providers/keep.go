package providers

import (
	"context"
	"time"
)

// Keeper is a Provider whose platform forgets where to send its webhooks unless
// somebody reminds it.
type Keeper interface {
	// Keeps reports whether the source's settings ask for it.
	Keeps() bool
	// Keep makes the platform's subscriptions those that the settings declare: it
	// creates what is missing and renews what would end soon, some time before it
	// does. To call it again changes nothing that is as it should be.
	Keep(ctx context.Context, q KeepQuery) ([]Subscription, error)
}

// KeepQuery says where the webhooks are to be sent, and what the platform has said.
type KeepQuery struct {
	URL string // of the source, as the platform reaches it; empty when that is not known
	// Secrets are the source's: a new subscription is given the first one.
	Secrets Secrets
	// EventType and Subscription are those of an event by which the platform has
	// just spoken of a subscription; empty when it has not. One that is about to be
	// dropped is renewed at once, and of one that missed something Keep names the list.
	EventType    string
	Subscription string
}

// Subscription is one that the platform has now.
type Subscription struct {
	ID      string    `json:"id"`
	What    string    `json:"what"`    // what it is about, for people
	Expires time.Time `json:"expires"` // zero when it has no end
	Did     Upkeep    `json:"did"`
	// List is the list that shows what was missed while the subscription was away,
	// or silent; empty where it was neither, or where there is none.
	List string `json:"list,omitempty"`
}

// Upkeep says what was done for a subscription.
type Upkeep string

// What can be done. They are stored in Temporal's history, so they are for ever.
const (
	UpkeepNone    Upkeep = "none" // it is as it should be
	UpkeepCreated Upkeep = "created"
	UpkeepRenewed Upkeep = "renewed"
)
