package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

// eventIn reads the one event of r.
func eventIn(t *testing.T, r providers.Request) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), r)
}

func TestAnEventIsNamedByItsHeadersAndItsAction(t *testing.T) {
	require.Equal(t, providers.Event{
		ID:         delivery,
		Type:       "issues.opened",
		Ref:        providers.Ref{Type: "issue", ID: "octocat/hello/issues/12"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),

		Fingerprint: providers.Fingerprint([]byte(issueOpened)),
	}, eventIn(t, request("issues", issueOpened)))
}

// Neither the delivery nor the event's name is signed.
func TestABodyUnderAnotherNameHasTheSameFingerprint(t *testing.T) {
	r := request("issues", issueOpened)
	r.Header.Set("X-GitHub-Delivery", "another")
	r.Header.Set("X-GitHub-Event", "unheard_of")
	require.NotEqual(t, delivery, eventIn(t, r).ID)
	require.Equal(t, eventIn(t, request("issues", issueOpened)).Fingerprint, eventIn(t, r).Fingerprint)
}

func TestAFormCarriesItsEventInAField(t *testing.T) {
	want := eventIn(t, request("issues", issueOpened))
	want.Payload = []byte(issueOpened)
	require.Equal(t, want, eventIn(t, formRequest("issues", issueOpened)))
}

func TestAFormWithoutExactlyOnePayloadIsMalformed(t *testing.T) {
	whole := string(formRequest("issues", issueOpened).Body)
	for _, body := range []string{"", "a=b", whole + "&" + whole, "payload=%zz", "payload=", "payload=%5B%5D", issueOpened} {
		r := formRequest("issues", "")
		r.Body = []byte(body)
		_, err := open(t).Events(r)
		require.ErrorIs(t, err, providers.ErrMalformed, body)
	}
}

func TestHeadersThatAreMissingRepeatedOrUnreadableAreMalformed(t *testing.T) {
	for _, name := range []string{"X-GitHub-Delivery", "X-GitHub-Event"} {
		genuine := request("issues", issueOpened).Header.Get(name)
		for _, values := range [][]string{
			nil, {""}, {genuine, genuine}, {genuine + " "}, {genuine + "\n"}, {"a/b"}, {"../x"}, {"\x00"}, {"é"}, {strings.Repeat("a", 101)},
		} {
			r := request("issues", issueOpened)
			r.Header.Del(name)
			for _, v := range values {
				r.Header.Add(name, v)
			}
			_, err := open(t).Events(r)
			require.ErrorIs(t, err, providers.ErrMalformed, "%s: %q", name, values)
			_, probe := open(t).Handshake(r)
			require.False(t, probe)
		}
	}
}

func TestAPingCarriesNoEvent(t *testing.T) {
	for _, r := range []providers.Request{request("ping", `{"hook_id": 1}`), formRequest("ping", `{"hook_id": 1}`)} {
		events, err := open(t).Events(r)
		require.NoError(t, err)
		require.Empty(t, events)
		_, probe := open(t).Handshake(r)
		require.True(t, probe)
	}
}

func TestAnActionThatIsNoPlainWordIsLeftOutOfTheType(t *testing.T) {
	for action, want := range map[string]string{
		`"deploy-now"`:                       "repository_dispatch.deploy-now",
		`"deploy now"`:                       "repository_dispatch",
		`"a.b"`:                              "repository_dispatch",
		`"é"`:                                "repository_dispatch",
		`5`:                                  "repository_dispatch",
		`null`:                               "repository_dispatch",
		`{}`:                                 "repository_dispatch",
		`"` + strings.Repeat("x", 101) + `"`: "repository_dispatch",
	} {
		body := `{"action": ` + action + `, "repository": {"full_name": "octocat/hello"}}`
		require.Equal(t, want, eventIn(t, request("repository_dispatch", body)).Type, action)
	}
}

// example is one of GitHub's own payloads.
type example struct {
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
}

func examples(t testing.TB) []example {
	t.Helper()
	file, err := os.ReadFile("testdata/examples.json")
	require.NoError(t, err)
	var all []example
	require.NoError(t, json.Unmarshal(file, &all))
	return all
}

// fetchable reports whether the provider would call an API for the ref.
func fetchable(t *testing.T, ref providers.Ref) bool {
	t.Helper()
	return !errors.Is(asked(t, ref), providers.ErrNotFetchable)
}

// TestGitHubsExamplesNameTheirObjects reads one payload of each event. A line
// of the golden file is the event's type, its ref, whether that can be fetched,
// when the event occurred and whether it ended its object.
func TestGitHubsExamplesNameTheirObjects(t *testing.T) {
	golden, err := os.ReadFile("testdata/examples.golden")
	require.NoError(t, err)
	var got strings.Builder
	for _, x := range examples(t) {
		got.WriteString(describe(t, eventIn(t, request(x.Event, string(x.Payload)))) + "\n")
	}
	require.Equal(t, string(golden), got.String())
}

func describe(t *testing.T, e providers.Event) string {
	t.Helper()
	line := e.Type + " " + e.Ref.Type + " " + e.Ref.ID
	if fetchable(t, e.Ref) {
		line += " fetchable"
	}
	if !e.OccurredAt.IsZero() {
		line += " " + e.OccurredAt.Format(time.RFC3339)
	}
	if e.Deleted {
		line += " deleted"
	}
	return line
}

// GitHub's payloads hold the API's URL of their objects. They are not used,
// but the paths built must be the same.
func TestRefsArePathsOfTheURLsThatGitHubGives(t *testing.T) {
	withoutURL := []string{"ref", "commit", "commit_status", "collaborator", "pull_request_review"}
	for _, x := range examples(t) {
		ref := eventIn(t, request(x.Event, string(x.Payload))).Ref
		if slices.Contains(withoutURL, ref.Type) || !fetchable(t, ref) {
			continue
		}
		require.Contains(t, paths(t, x.Payload), belowRepository(ref.ID), x.Event)
	}
}

// paths returns the paths below the repository that the members "url" of the
// payload's objects hold. The repositories themselves were renamed in some of
// the examples, but not in all places.
func paths(t *testing.T, payload []byte) []string {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal(payload, &members))
	var found []string
	for _, m := range members {
		object, _ := m.(map[string]any)
		link, _ := object["url"].(string)
		if path, ok := strings.CutPrefix(link, "https://api.github.com/repos/"); ok {
			found = append(found, belowRepository(path))
		}
	}
	return found
}

// belowRepository drops the first two parts of a path, owner and repository.
func belowRepository(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[2:], "/")
}

func TestAPushNamesWhatItChanged(t *testing.T) {
	const (
		sha   = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
		zeros = "0000000000000000000000000000000000000000"
	)
	for _, c := range []struct {
		name, ref, after string
		deleted          bool
		want             string
	}{
		{"a branch moves to a commit", "refs/heads/main", sha, false, "commit/octocat/hello/commits/" + sha},
		{"a branch is deleted", "refs/heads/feature/x", zeros, true, "ref/octocat/hello/git/ref/heads/feature/x"},
		{"a tag is pushed", "refs/tags/v1.0", sha, false, "ref/octocat/hello/git/ref/tags/v1.0"},
		{"a name is escaped", "refs/tags/é?#%", zeros, true, "ref/octocat/hello/git/ref/tags/%C3%A9%3F%23%25"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := fmt.Sprintf(`{"ref": %q, "after": %q, "deleted": %t, "repository": {"full_name": "octocat/hello"}}`, c.ref, c.after, c.deleted)
			got := eventIn(t, request("push", body))
			require.Equal(t, c.want, got.Ref.String())
			require.Equal(t, c.deleted, got.Deleted)
			require.True(t, fetchable(t, got.Ref))
		})
	}
	for _, ref := range []string{"", "refs/", "refs/heads/..", "refs/tags/../x", "refs/tags/a//b", "refs/tags/.x", "refs/heads/main"} {
		t.Run("unreadable "+ref, func(t *testing.T) {
			body := fmt.Sprintf(`{"ref": %q, "after": "main", "deleted": false, "repository": {"full_name": "octocat/hello"}}`, ref)
			_, err := open(t).Events(request("push", body))
			require.ErrorIs(t, err, providers.ErrMalformed)
		})
	}
}

func TestAnEventMayNameItsObjectByItsPayloadOnly(t *testing.T) {
	for _, c := range []struct{ name, event, body, want string }{
		{"an event nobody has heard of", "brand_new", `{"brand_new": {"id": 7}, "repository": {"full_name": "o/r"}}`, "brand_new/o/r/7"},
		{"an object with a node id only", "brand_new", `{"brand_new": {"id": null, "node_id": "X_1="}}`, "brand_new/X_1="},
		{"no object but a repository", "brand_new", `{"repository": {"full_name": "o/r"}}`, "brand_new/o/r"},
		{"no object but an organization", "brand_new", `{"organization": {"login": "o"}, "sender": {"id": 1}}`, "brand_new/o"},
		{"nobody but an installation", "brand_new", `{"installation": {"id": 2}, "sender": {"id": 1}}`, "brand_new/2"},
		{"nothing at all", "brand_new", `{}`, ""},
		{"an id with odd characters", "brand_new", `{"brand_new": {"id": "a b\u0000é"}}`, "brand_new/a%20b%00%C3%A9"},
		{"a ruleset of an organization", "repository_ruleset", `{"repository_ruleset": {"id": 3}, "organization": {"login": "o"}}`, "repository_ruleset/3"},
		{"a review of no run", "deployment_review", `{"workflow_run": null, "repository": {"full_name": "o/r"}}`, "deployment_review/o/r"},
		{"an alert about a leaked secret", "secret_scanning_alert", `{"alert": {"number": 4}, "repository": {"full_name": "o/r"}}`, "secret_scanning_alert/o/r/4"},
		{"a team in a repository", "team", `{"team": {"id": 5}, "repository": {"full_name": "o/r"}}`, "team/5"},
		{
			"a branch with too long a name", "create",
			`{"ref_type": "branch", "ref": "` + strings.Repeat("x", 250) + `", "repository": {"full_name": "o/r"}}`,
			"ref/o/r/3d4096b3ea4c9859e413ce6a1ab19c8a",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := eventIn(t, request(c.event, c.body)).Ref
			require.Equal(t, c.want, ref.String())
			require.False(t, fetchable(t, ref))
		})
	}
}

func TestARulesetOfARepositoryCanBeFetched(t *testing.T) {
	ref := eventIn(t, request("repository_ruleset", `{"repository_ruleset": {"id": 3}, "repository": {"full_name": "o/r"}}`)).Ref
	require.Equal(t, providers.Ref{Type: "ruleset", ID: "o/r/rulesets/3"}, ref)
	require.True(t, fetchable(t, ref))
}

func TestALabelIsOnePartOfAPath(t *testing.T) {
	ref := eventIn(t, request("label", `{"label": {"id": 1, "name": "area/é ?"}, "repository": {"full_name": "o/r"}}`)).Ref
	require.Equal(t, "o/r/labels/area%2F%C3%A9%20%3F", ref.ID)
	require.True(t, fetchable(t, ref))

	for _, name := range []string{"", ".", ".."} {
		_, err := open(t).Events(request("label", `{"label": {"id": 1, "name": "`+name+`"}, "repository": {"full_name": "o/r"}}`))
		require.ErrorIs(t, err, providers.ErrMalformed)
	}
}

func TestACommentOnAPullRequestIsStillTheComment(t *testing.T) {
	body := `{"action": "created", "comment": {"id": 9}, "issue": {"number": 2, "pull_request": {}}, "repository": {"full_name": "o/r"}}`
	require.Equal(t, providers.Ref{Type: "issue_comment", ID: "o/r/issues/comments/9"}, eventIn(t, request("issue_comment", body)).Ref)
}

func FuzzEvents(f *testing.F) {
	for _, x := range examples(f) {
		f.Add(x.Event, "application/json", []byte(x.Payload))
	}
	f.Add("issues", "application/x-www-form-urlencoded", formRequest("issues", issueOpened).Body)
	p := open(f)
	f.Fuzz(func(t *testing.T, name, contentType string, body []byte) {
		r := request(name, string(body))
		r.Header.Set("Content-Type", contentType)
		events, err := p.Events(r)
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.LessOrEqual(t, len(events), 1)
		for _, e := range events {
			require.True(t, strings.HasPrefix(e.Type, name))
			requireSafe(t, e.Ref)
		}
	})
}

// requireSafe checks that a ref fits into what stores it and cannot lead
// anywhere but below its repository.
func requireSafe(t *testing.T, ref providers.Ref) {
	t.Helper()
	require.Equal(t, ref.Type == "", ref.ID == "")
	require.LessOrEqual(t, len(ref.ID), 200)
	require.NotRegexp(t, `[^!-~]`, ref.ID)
	if fetchable(t, ref) {
		require.NotRegexp(t, `[?#\\]|//|(^|/)\.\.?(/|$)|^/`, ref.ID)
	}
}
