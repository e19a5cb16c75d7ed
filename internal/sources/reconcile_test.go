package sources_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/sources"
	"github.com/surehook/surehook/providers"
)

// bare is a platform without any API.
type bare struct{ providers.Provider }

// fetching is one that can fetch, and library one that can list as well.
type (
	fetching struct{ bare }
	library  struct{ fetching }
)

func (fetching) Fetch(context.Context, providers.FetchQuery) (providers.Object, error) {
	return providers.Object{}, errors.New("nothing is fetched here")
}

func (library) Lists() []providers.List {
	return []providers.List{{Name: "events"}, {Name: "invoice", Event: "invoice.updated"}, {Name: "customer", Event: "customer.updated"}}
}

func (library) List(context.Context, providers.ListQuery) (providers.Page, error) {
	return providers.Page{}, errors.New("nothing is listed here")
}

func TestReconciledLists(t *testing.T) {
	for name, c := range map[string]struct {
		provider providers.Provider
		accept   []string
		declared sources.Reconcile
		want     []string
		errs     []string
	}{
		"are none where nothing is declared":       {provider: library{}, want: nil},
		"are by default all that fit the events":   {provider: library{}, declared: sources.Reconcile{Cron: "@daily"}, want: []string{"events", "invoice", "customer"}},
		"are not those whose events are not taken": {provider: library{}, accept: []string{"invoice.*"}, declared: sources.Reconcile{Cron: "@daily"}, want: []string{"events", "invoice"}},
		"are those that are named, whatever the events": {
			provider: library{}, accept: []string{"invoice.*"}, declared: sources.Reconcile{Cron: "@daily", Lists: []string{"customer"}}, want: []string{"customer"},
		},
		"have that of records not seen last": {
			provider: library{}, declared: sources.Reconcile{Cron: "@daily", Lists: []string{"invoice"}, Unseen: time.Hour}, want: []string{"invoice", "unseen"},
		},
		"may be that one alone": {provider: fetching{}, declared: sources.Reconcile{Cron: "@daily", Unseen: time.Hour}, want: []string{"unseen"}},
		"may be that one alone where there are others": {
			provider: library{}, declared: sources.Reconcile{Cron: "@daily", Lists: []string{}, Unseen: time.Hour}, want: []string{"unseen"},
		},
		"must be lists that the platform has": {
			provider: library{}, declared: sources.Reconcile{Cron: "@daily", Lists: []string{"invoices", "customer", "unseen", "customer"}},
			errs: []string{
				`reconcile.lists[0]: "invoices": want one of events, invoice, customer`,
				`reconcile.lists[2]: "unseen": want one of events, invoice, customer`,
				`reconcile.lists[3]: "customer": it is there twice`,
			},
		},
		"need a platform that has some": {
			provider: fetching{}, declared: sources.Reconcile{Cron: "@daily"},
			errs: []string{"reconcile: provider shop has no lists with these settings; reconcile.unseen alone fetches records again"},
		},
		"need one that can fetch": {
			provider: bare{}, declared: sources.Reconcile{Cron: "@daily", Unseen: time.Hour},
			errs: []string{"reconcile.unseen: provider shop has no API to fetch records from"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.accept == nil {
				c.accept = []string{"*"}
			}
			s := sources.Source{Name: "a", Provider: "shop", Accept: c.accept, Reconcile: c.declared}
			got, errs := s.ReconciledLists(c.provider)
			var texts []string
			for _, err := range errs {
				texts = append(texts, err.Error())
			}
			require.Equal(t, c.errs, texts)
			if c.errs == nil {
				require.Equal(t, c.want, got)
			}
		})
	}
	t.Run("must not be empty", func(t *testing.T) {
		s := sources.Source{Provider: "shop", Accept: []string{"order.*"}, Reconcile: sources.Reconcile{Cron: "@daily"}}
		_, errs := s.ReconciledLists(eventless{})
		require.Len(t, errs, 1)
		require.EqualError(t, errs[0], "reconcile: none of the lists fits events.accept: name some of invoice in reconcile.lists")
	})
}

// eventless has a list of objects only.
type eventless struct{ library }

func (eventless) Lists() []providers.List {
	return []providers.List{{Name: "invoice", Event: "invoice.updated"}}
}
