package providertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// Lists makes Acme a platform whose records a reconciliation can keep true: it
// lists its parcels at /parcels?changed_since=…&after=…, two at a time.
func (a *acme) Lists() []providers.List {
	return []providers.List{{Name: "parcel", Event: "parcel.sent"}}
}

func (a *acme) List(ctx context.Context, q providers.ListQuery) (providers.Page, error) {
	if q.List != "parcel" {
		return providers.Page{}, fmt.Errorf("acme: %.50q: %w", q.List, providers.ErrNoSuchList)
	}
	params := url.Values{}
	if q.Cursor != "" {
		params.Set("after", q.Cursor) // a parameter, so that it can lead nowhere else
	}
	if !q.Since.IsZero() {
		params.Set("changed_since", q.Since.UTC().Format(time.RFC3339))
	}
	r, err := a.api.Get(ctx, "list parcel", "/parcels?"+params.Encode(), http.Header{"Authorization": {"Bearer " + a.key}})
	if err != nil {
		return providers.Page{}, err
	}
	var answer struct {
		Parcels []json.RawMessage `json:"parcels"`
		Next    string            `json:"next"`
	}
	if err := r.ReadJSON(&answer); err != nil {
		return providers.Page{}, err
	}
	if answer.Parcels == nil {
		return providers.Page{}, r.Unusable(providers.RetrySoon, errors.New("answer is no list"))
	}
	page := providers.Page{Next: answer.Next}
	for _, raw := range answer.Parcels {
		var parcel struct {
			ID string `json:"id"`
		}
		if err := providers.ReadJSON(raw, &parcel); err != nil || !parcelID.MatchString(parcel.ID) {
			return providers.Page{}, r.Unusable(providers.RetrySoon, errors.New("answer lists what is no parcel"))
		}
		page.Objects = append(page.Objects, providers.Listed{
			Object: providers.Object{Ref: providers.Ref{Type: "parcel", ID: parcel.ID}, State: raw},
		})
	}
	return page, nil
}

// shelf plays Acme's API: the first parcels are old, the others new.
type shelf struct {
	ids  []string
	old  int
	here time.Time // when the new ones changed
}

func (s shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, one := strings.CutPrefix(r.URL.Path, "/parcels/"); one {
		fmt.Fprint(w, parcelState(id))
		return
	}
	from := 0
	if since, err := time.Parse(time.RFC3339, r.URL.Query().Get("changed_since")); err == nil && !since.Before(s.here) {
		from = s.old
	}
	var states []string
	next := ""
	for i := from; i < len(s.ids); i++ {
		if s.ids[i] <= r.URL.Query().Get("after") {
			continue
		}
		if len(states) == 2 {
			next = s.ids[i-1]
			break
		}
		states = append(states, parcelState(s.ids[i]))
	}
	fmt.Fprintf(w, `{"parcels": [%s], "next": %q}`, strings.Join(states, ","), next)
}

func parcelState(id string) string { return fmt.Sprintf(`{"id": %q, "where": "on its way"}`, id) }

func parcels(*testing.T, string) providertest.World {
	s := shelf{ids: []string{"p_1", "p_2", "p_3", "p_4", "p_5"}, old: 2, here: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)}
	return providertest.World{
		API:    s,
		Since:  s.here,
		Recent: []string{"parcel/p_3", "parcel/p_4", "parcel/p_5"},
		Old:    []string{"parcel/p_1", "parcel/p_2"},
	}
}
