package msgraph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/msgraph"
)

// eventsIn reads a body that came a while after the others.
func eventsIn(t *testing.T, body string, later time.Duration) []providers.Event {
	t.Helper()
	r := request(body)
	r.ReceivedAt = r.ReceivedAt.Add(later)
	events, err := open(t, msgraph.Settings{}).Events(r)
	require.NoError(t, err)
	return events
}

func eventIn(t *testing.T, item string) providers.Event {
	t.Helper()
	events := eventsIn(t, batch(item), 0)
	require.Len(t, events, 1)
	return events[0]
}

func TestEventsReadsAChange(t *testing.T) {
	event := eventIn(t, stated(mailUpdated, secret))
	require.NotContains(t, string(event.Payload), secret, "the payload may become a record")
	require.JSONEq(t, strings.Replace(mailUpdated, `"clientState": "",`, "", 1), string(event.Payload))
	event.ID, event.Payload = "", nil
	require.Empty(t, cmp.Diff(providers.Event{
		Type: "message.updated",
		Ref:  providers.Ref{Type: "message", ID: user + "/Messages/" + mail, Account: tenant},
	}, event))
}

func TestEventsReadsADeletion(t *testing.T) {
	event := eventIn(t, userDeleted)
	event.ID, event.Payload = "", nil
	require.Empty(t, cmp.Diff(providers.Event{
		Type:       "user.deleted",
		Ref:        providers.Ref{Type: "user", ID: user, Account: otherTenant},
		OccurredAt: time.Date(2026, 3, 4, 5, 6, 5, 123456700, time.UTC),
		Deleted:    true,
	}, event))
}

func TestEventsReadsLifecycleNotifications(t *testing.T) {
	for _, kind := range []string{"reauthorizationRequired", "subscriptionRemoved", "missed"} {
		event := eventIn(t, strings.Replace(missed, "missed", kind, 1))
		require.Equal(t, "lifecycle."+kind, event.Type)
		require.Equal(t, providers.Ref{Type: "subscription", ID: first, Account: tenant}, event.Ref)
		require.Equal(t, kind == "subscriptionRemoved", event.Deleted)
		require.Empty(t, event.Review)
	}
}

func TestAChangeHasOneNameHoweverItIsDelivered(t *testing.T) {
	want := eventIn(t, mailUpdated).ID
	for name, item := range map[string]string{
		"under another id":          strings.Replace(mailUpdated, "lsgTZMr9KwAAA", "forged", 1),
		"without an id":             strings.Replace(mailUpdated, `"id": "lsgTZMr9KwAAA",`, "", 1),
		"with another clientState":  stated(mailUpdated, "rotated"),
		"after a renewal":           strings.Replace(mailUpdated, "2026-03-19", "2026-03-22", 1),
		"with its members reversed": strings.NewReplacer(`"@odata.type": "#Microsoft.Graph.Message", `, "", `AAAUWRHf\"",`, `AAAUWRHf\"", "@odata.type": "#Microsoft.Graph.Message",`).Replace(mailUpdated),
	} {
		require.Equal(t, want, eventIn(t, item).ID, name)
		require.Equal(t, want, eventsIn(t, batch(item), 4*time.Hour)[0].ID, name)
	}
}

func TestAnotherChangeHasAnotherName(t *testing.T) {
	seen := map[string]string{}
	for name, item := range map[string]string{
		"a mail":                         mailUpdated,
		"its next version":               strings.Replace(mailUpdated, "AAAUWRHf", "AAAUWRHg", 1),
		"its deletion":                   strings.Replace(mailUpdated, `"updated"`, `"deleted"`, 1),
		"another mail":                   strings.Replace(mailUpdated, "/Messages/AAMk", "/Messages/BBMk", 1),
		"through another subscription":   strings.Replace(mailUpdated, first, second, 1),
		"in another tenant":              strings.Replace(mailUpdated, `"tenantId": "`+tenant, `"tenantId": "`+otherTenant, 1),
		"a user":                         userDeleted,
		"the user with the next number":  strings.Replace(userDeleted, "639081639651234567", "639081639651234568", 1),
		"a chat message with an id":      strings.Replace(chatUpdated, `"subscriptionId"`, `"id": "one", "subscriptionId"`, 1),
		"a chat message with another id": strings.Replace(chatUpdated, `"subscriptionId"`, `"id": "two", "subscriptionId"`, 1),
		"a challenge":                    strings.Replace(missed, "missed", "reauthorizationRequired", 1),
		"missed notifications":           missed,
	} {
		id := eventIn(t, item).ID
		require.Empty(t, seen[id], "%s has the name of %s", name, seen[id])
		seen[id] = name
	}
}

// The second of two updates that say no version is lost for ever if it is
// taken for the first.
func TestWhatCannotBeToldFromARepetitionIsTakenForAChange(t *testing.T) {
	for name, c := range map[string]struct {
		item string
		same bool // after a second
	}{
		"a chat message without id or version":     {chatUpdated, false},
		"a challenge":                              {strings.Replace(missed, "missed", "reauthorizationRequired", 1), false},
		"missed notifications":                     {missed, false},
		"a subscription that was removed":          {strings.Replace(missed, "missed", "subscriptionRemoved", 1), true},
		"a chat message with an id":                {strings.Replace(chatUpdated, `"subscriptionId"`, `"id": "one", "subscriptionId"`, 1), true},
		"a mail with a version":                    {mailUpdated, true},
		"an object without an API":                 {strings.NewReplacer("chatMessage", "weather").Replace(chatUpdated), true},
		"a version that is null, which says none":  {strings.Replace(chatUpdated, `"id": "16`, `"@odata.etag": null, "id": "16`, 1), false},
		"a sequence that is no number, as unknown": {strings.Replace(chatUpdated, `"id": "16`, `"sequenceNumber": {}, "id": "16`, 1), false},
	} {
		now, later := eventsIn(t, batch(c.item), 0)[0], eventsIn(t, batch(c.item), time.Second)[0]
		require.Equal(t, c.same, now.ID == later.ID, name)
		require.Equal(t, now.ID, eventsIn(t, batch(c.item), 0)[0].ID, name)
	}
}

func TestEventsNamesWhatAResourceIs(t *testing.T) {
	resource := func(path, typ string) string {
		return `{"subscriptionId": "` + first + `", "changeType": "updated", "tenantId": "` + tenant + `", "resource": "` + path + `", "resourceData": ` + typ + `}`
	}
	for _, c := range []struct{ path, data, wantType, wantID string }{
		{"users/" + user + "/messages/AAMk", `{"@odata.type": "#microsoft.graph.message"}`, "message", user + "/messages/AAMk"},
		{"/users/" + user + "/events/AAMk=", `{"@odata.type": "#Microsoft.Graph.Event"}`, "event", user + "/events/AAMk="},
		{"users/" + user + "@" + otherTenant + "/messages/A", `{}`, "message", "users/" + user + "@" + otherTenant + "/messages/A"},
		{"users/ann@contoso.com/messages/A", `{}`, "message", "users/ann@contoso.com/messages/A"},
		{"groups/" + user, `{"@odata.type": "#Microsoft.Graph.Group"}`, "group", "groups/" + user},
		{"teams('a')/channels('19:b@thread.tacv2')/messages('1')/replies('2')", `{"@odata.type": "#Microsoft.Graph.ChatMessage"}`, "chatMessage",
			"teams('a')/channels('19:b@thread.tacv2')/messages('1')/replies('2')"},
		{"communications/presences('" + user + "')", `null`, "presence", "communications/presences('" + user + "')"},
		{"drives/b!x/root", `null`, "root", "drives/b!x/root"},
		{"sites/contoso.sharepoint.com,1,2/lists/3", `null`, "list", "sites/contoso.sharepoint.com,1,2/lists/3"},
		{"elsewhere", `null`, "resource", "elsewhere"},
	} {
		event := eventIn(t, resource(c.path, c.data))
		require.Equal(t, c.wantType+".updated", event.Type, c.path)
		require.Equal(t, providers.Ref{Type: c.wantType, ID: c.wantID, Account: tenant}, event.Ref, c.path)
		require.Empty(t, event.Review)
	}
	for _, path := range []string{
		"", "users/a b", "users/../groups/x", "users/./x", "users//x", "users/x?$select=id", "users/x#y", "users/é", `users/a\\b`,
		"users/a%2fb", "https://evil.example/users/x", "users/x/", "users('a/b')", "users/" + strings.Repeat("x", 200),
	} {
		if path == "" {
			continue // is malformed, see the conformance test
		}
		event := eventIn(t, resource(path, `{}`))
		require.Zero(t, event.Ref, path)
		require.NotEmpty(t, event.Review, path)
	}
}

func TestAnItemForAnOperatorDoesNotHoldUpTheOthers(t *testing.T) {
	events := eventsIn(t, batch(strings.Replace(mailUpdated, `"Users/`, `"Users/?`, 1), userDeleted), 0)
	require.Len(t, events, 2)
	require.Contains(t, events[0].Review, "resource")
	require.Empty(t, events[1].Review)
}

func FuzzEvents(f *testing.F) {
	for _, body := range []string{batch(mailUpdated, userDeleted), batch(chatUpdated), batch(missed), `{"value": [{}]}`, "", batch(`{"resourceData": 1}`)} {
		f.Add(body)
	}
	p := open(f, msgraph.Settings{})
	f.Fuzz(func(t *testing.T, body string) {
		events, err := p.Events(request(body))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.NotEmpty(t, events)
		for _, e := range events {
			require.Regexp(t, `^[0-9a-f]{40}$`, e.ID)
			require.Regexp(t, `^[A-Za-z][0-9A-Za-z]*\.[A-Za-z][0-9A-Za-z]*$`, e.Type)
			require.LessOrEqual(t, len(e.Ref.ID), 200)
			require.Regexp(t, `^[!-~]*$`, e.Ref.ID)
			require.Equal(t, e.Ref.IsZero(), e.Review != "" && e.Ref.Type == "")
		}
	})
}
