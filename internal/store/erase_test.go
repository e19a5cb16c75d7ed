package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/internal/store"
	"github.com/surehook/surehook/providers"
)

func TestTheNameOfAnErasedRecordGoesAnHourLaterUnlessAnEventIsUnfinished(t *testing.T) {
	anHourLater := map[string]string{
		"sqlite":   "UPDATE records SET as_of = as_of - 3601000000",
		"postgres": "UPDATE records SET as_of = as_of - interval '3601 seconds'",
	}
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			u := url(t)
			s := open(t, u)
			ctx := t.Context()
			db, err := sqlx.Open(name, strings.TrimPrefix(u, "sqlite:"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			ref := providers.Ref{Type: "invoice", ID: "in_1"}
			require.NoError(t, acceptAbout(s, "evt_1", ref))
			require.NoError(t, saveFetched(s, "evt_1"))
			held := store.HeldRecord{Source: "stripe", Object: ref}
			erase := func() store.Erasing {
				did, err := s.EraseRecord(ctx, held)
				require.NoError(t, err)
				return did
			}
			require.Equal(t, store.ErasedState, erase())
			_, err = db.ExecContext(ctx, anHourLater[name])
			require.NoError(t, err)
			for _, status := range []providers.Status{providers.StatusPending, providers.StatusReview} {
				require.NoError(t, acceptAbout(s, "evt_"+string(status), ref))
				settled := providers.Settlement{Source: "stripe", ID: "evt_" + string(status), Status: status}
				require.NoError(t, s.Settle(ctx, settled))
				require.Equal(t, store.ErasedNone, erase(), "it would make it a record again, unnoticed")
				settled.Status = providers.StatusFailed
				require.NoError(t, s.Settle(ctx, settled))
			}
			require.Equal(t, store.ErasedName, erase())
			found, err := s.RecordHolding(ctx, "stripe", ref)
			require.NoError(t, err)
			require.Empty(t, found)
		})
	}
}

// acceptAbout accepts a pending event about an object.
func acceptAbout(s *store.Store, id string, ref providers.Ref) error {
	_, err := s.Accept(context.Background(), []providers.Received{{
		Source: "stripe", Status: providers.StatusPending, Body: []byte("{}"),
		Event: providers.Event{ID: id, Type: "invoice.paid", Ref: ref},
	}})
	return err
}
