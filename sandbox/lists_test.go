package sandbox_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lists' contents are tested with the providers and the platforms' own
// libraries; these are the answers that they never see.
func TestListsAreRefusedAsThePlatformsDo(t *testing.T) {
	w := open(t, nil)
	_, err := w.GitHub.Trigger(t.Context(), "issues.opened")
	require.NoError(t, err)
	const hook = "/github/repos/octo-org/hello-world/hooks/471234567/deliveries"
	for _, c := range []struct {
		path, key string
		want      int
	}{
		{"/stripe/v1/invoices", "sk_wrong", http.StatusUnauthorized},
		{"/stripe/v1/invoices?limit=101", stripeKey, http.StatusBadRequest},
		{"/stripe/v1/invoices?starting_after=in_1", stripeKey, http.StatusBadRequest},
		{"/stripe/v1/nothing", stripeKey, http.StatusNotFound},
		{hook, "ghp_wrong", http.StatusUnauthorized},
		{hook + "?cursor=v1_1", githubKey, http.StatusUnprocessableEntity},
		{hook + "/1", githubKey, http.StatusNotFound},
		{"/github/repos/octo-org/hello-world/hooks/1/deliveries", githubKey, http.StatusNotFound},
		{"/github/repos/octo-org/unknown/issues", githubKey, http.StatusNotFound},
		{"/github/repos/octo-org/hello-world/issues?page=100&per_page=100", githubKey, http.StatusUnprocessableEntity},
	} {
		resp, _ := w.get(t, c.path, c.key)
		require.Equal(t, c.want, resp.StatusCode, c.path)
	}
}

func TestTheUsualRepositoryCanBeListedBeforeAnythingHasHappenedThere(t *testing.T) {
	w := open(t, nil)
	for _, path := range []string{"/issues", "/hooks/471234567/deliveries"} {
		resp, body := w.get(t, "/github/repos/octo-org/hello-world"+path, githubKey)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "[]", body)
	}
}

func TestStripeListsNoCanceledSubscriptionsUnlessAskedTo(t *testing.T) {
	w := open(t, nil)
	canceled, err := w.Stripe.Trigger(t.Context(), "customer.subscription.deleted")
	require.NoError(t, err)
	for query, want := range map[string]int{"": 0, "?status=all": 1, "?status=canceled": 1, "?status=active": 0} {
		_, body := w.get(t, "/stripe/v1/subscriptions"+query, stripeKey)
		var list struct {
			Data []struct{ ID string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		require.Len(t, list.Data, want, query)
		if want > 0 {
			require.Equal(t, canceled.Object.ID, list.Data[0].ID)
		}
	}
}
