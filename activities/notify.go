package activities

import (
	"context"

	"github.com/surehook/surehook/providers"
)

// Notice tells another system that something happened to an object. It names
// the object and carries no state: who wants that reads the record. It is
// stored in Temporal's history, so its JSON names are for ever.
type Notice struct {
	Source string        `json:"source"`
	Event  string        `json:"event"`
	Type   string        `json:"type"`
	Ref    providers.Ref `json:"ref"`
}

// Key is the same for every attempt to send the notice, and for no other one.
func (n Notice) Key() string { return n.Source + "/" + n.Event + "/notify" }

// Notify sends a notice. Without a Notifier there is no one to tell.
func (a *Activities) Notify(ctx context.Context, n Notice) (err error) {
	if a.Notifier == nil {
		return nil
	}
	defer func() { err = a.sorted(ctx, recovered(ctx, err, recover())) }()
	return a.Notifier.Notify(ctx, n)
}
