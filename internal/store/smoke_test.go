package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/internal/store/storetest/pgtest"
	"github.com/surehook/surehook/providers"
)

func TestSmoke(t *testing.T) {
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + t.TempDir() + "/s.db" },
		"postgres": func() string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s, err := store.Open(ctx, store.Config{URL: url(), MaxConns: 10})
			require.NoError(t, err)
			defer s.Close()
			v, err := s.SchemaVersion(ctx)
			require.NoError(t, err)
			require.True(t, v.Pending())
			require.NoError(t, s.Migrate(ctx))
			v, err = s.SchemaVersion(ctx)
			require.NoError(t, err)
			require.False(t, v.Pending())
			r := providers.Received{Source: "a", Event: providers.Event{ID: "1", Type: "x", Ref: providers.Ref{Type: "inv", ID: "in_1"}}, Status: "pending", WorkflowID: "a/1"}
			a, err := s.Accept(ctx, []providers.Received{r, r})
			require.NoError(t, err)
			t.Log(a)
			require.NoError(t, s.MarkStarted(ctx, []providers.Started{{Source: "a", ID: "1", RunID: "r"}}))
			c, err := s.Claim(ctx, a[0].EventRef)
			require.NoError(t, err)
			t.Log(c)
			sv, err := s.Save(ctx, providers.Save{Event: a[0].EventRef, Claim: c, Origin: "fetch", Finish: true, Object: providers.Object{State: []byte(`{"a":"\u0000"}`)}})
			require.NoError(t, err)
			t.Log(sv)
			sv, err = s.Cover(ctx, a[0].EventRef, true)
			require.NoError(t, err)
			t.Log(sv)
			_, err = s.ClaimDue(ctx, 10, time.Second)
			require.NoError(t, err)
			require.NoError(t, s.Settle(ctx, providers.Settlement{Source: "a", ID: "1", Status: "review"}))
			require.ErrorIs(t, s.Settle(ctx, providers.Settlement{Source: "a", ID: "2", Status: "review"}), providers.ErrNotFound)
			e, err := s.EventRow(ctx, "a", "1")
			require.NoError(t, err)
			t.Logf("%+v", e)
			rec, err := s.Record(ctx, "a", "inv", "in_1")
			require.NoError(t, err)
			t.Logf("%+v", rec)
			_, err = s.Records(ctx, store.RecordFilter{Before: rec})
			require.NoError(t, err)
			_, err = s.Events(ctx, store.EventFilter{Type: "x*", Source: "a", Status: "pending", Object: providers.Ref{ID: "x"}, Before: 3})
			require.NoError(t, err)
			require.NoError(t, s.AddRejections(ctx, []providers.Rejection{{Reason: "x", Minute: time.Now(), Count: 1, Detail: "\x00\xff"}}))
			_, err = s.Rejections(ctx, store.RejectionFilter{Source: "x"})
			require.NoError(t, err)
			se, err := s.Event(ctx, "a", "1")
			require.NoError(t, err)
			t.Log(se)
		})
	}
}
