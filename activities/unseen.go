package activities

import (
	"context"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// unseenPage is how many records are fetched before the position is saved.
const unseenPage = 100

// unseenSince is the time since when a record of this run was not seen. It is
// counted from the run's own beginning: how long ago the run before was complete
// says nothing here.
func unseenSince(start ReconcileStart, r providers.Reconciliation) time.Time {
	if !start.Backfill {
		return r.Until.Add(-time.Duration(start.LookbackSeconds) * time.Second)
	}
	if r.Since.IsZero() {
		return r.Until // every record
	}
	return r.Since
}

// unseen reads a page of the list that is about our own records. The cursor is the name of the last one.
func (p *page) unseen(ctx context.Context) (found, error) {
	typ, id, _ := strings.Cut(p.at.Cursor, "/")
	refs, err := p.a.Reconciliations.Unseen(ctx, p.at.Source, p.at.Since, providers.Ref{Type: typ, ID: id}, unseenPage)
	if err != nil {
		return found{}, err
	}
	f := found{objects: len(refs), differing: refs}
	if len(refs) == unseenPage {
		f.next = refs[len(refs)-1].String()
	}
	return f, nil
}
