package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// githubRepository is the repository in which things happen when none is named.
const githubRepository = "octo-org/hello-world"

// githubHookID is the number of every webhook in the sandbox: each repository has
// one, and each organization.
const githubHookID = 471234567

// NewGitHub returns a fake of GitHub.
//
// A ref's ID is the object's API path below /repos/, such as
// "octo-org/hello-world/issues/1". Objects show their version as the member
// sandbox_version, which GitHub's do not have; updated_at has whole seconds
// there and here.
//
// Each repository and each organization has one hook, of the number 471234567;
// its deliveries are the events of the log that have happened there.
//
// On may also name the repository, or the object, to which something new is
// added: the issue of a comment, the repository of an issue.
func NewGitHub(cfg PlatformConfig) *Platform {
	return newPlatform(cfg, github{})
}

type github struct{}

func (github) name() string { return "github" }

func (g github) api() api { return g }

func (github) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate, FaultRateLimit, FaultSecondaryLimit}
}

// parent is the repository: with it goes all that is in it.
func (github) parent(path string) string {
	parts := strings.SplitN(path, "/", 5)
	switch {
	case len(parts) > 4 && parts[1] == "repos":
		return strings.Join(parts[:4], "/")
	case len(parts) > 3 && parts[1] == "repositories":
		return strings.Join(parts[:3], "/")
	default:
		return ""
	}
}

func (github) stamp(state fields, version int64, now time.Time) {
	state["sandbox_version"] = version
	if _, ok := state["updated_at"]; ok {
		state["updated_at"] = githubTime(now)
	}
}

// layout is none: GitHub's API answers in one line.
func (github) layout(state json.RawMessage) []byte { return state }

func githubTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (g github) create(t *tx, kind string, set fields) (providers.Ref, error) {
	return g.createIn(t, kind, providers.Ref{}, set)
}

// createIn adds an object to a repository, or to another object in one.
func (g github) createIn(t *tx, kind string, in providers.Ref, set fields) (providers.Ref, error) {
	if kind == "repository" {
		return g.createRepository(t, set)
	}
	in, err := g.owner(t, kind, in)
	if err != nil {
		return providers.Ref{}, err
	}
	vars, err := g.vars(t, kind, in)
	if err != nil {
		return providers.Ref{}, err
	}
	name := "github/" + kind
	if !hasTemplate(name) {
		name = "github/generic"
	}
	state, err := fill(name, vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	path, err := githubPath(kind, state, vars)
	if err != nil {
		return providers.Ref{}, err
	}
	repo := vars["repo"].(string)
	ref := providers.Ref{Type: kind, ID: repo + "/" + path}
	byID := "/repositories/" + plain(vars["repository_id"]) + "/" + path
	return ref, t.put(ref, []string{"/repos/" + githubUnescaped(ref.ID), githubUnescaped(byID)}, state)
}

// owner returns the object that one of the kind belongs to, and creates it if
// none is given: a comment needs an issue.
func (g github) owner(t *tx, kind string, in providers.Ref) (providers.Ref, error) {
	needs := githubOwners[kind]
	if needs == "" || in.Type == needs || needs == "issue" && in.Type == "pull_request" {
		return in, nil
	}
	return g.createIn(t, needs, in, nil)
}

// githubUnescaped is a ref's ID as the API's server sees it in a path.
func githubUnescaped(id string) string {
	plain, err := url.PathUnescape(id)
	if err != nil {
		return id
	}
	return plain
}

// vars are the values a template can use.
func (g github) vars(t *tx, kind string, in providers.Ref) (fields, error) {
	repo, repository, err := g.repository(t, in)
	if err != nil {
		return nil, err
	}
	owner, name, _ := strings.Cut(repo, "/")
	vars := g.basics(t, kind)
	maps.Copy(vars, fields{
		"repo": repo, "owner": owner, "name": name, "repository": repository, "repository_id": repository["id"],
		"user": githubUser(), "number": int(t.p.ids.next("number " + plain(repository["id"]))),
		"sha": t.p.ids.hex("commit", 40), "parent_sha": t.p.ids.hex("parent", 40), "tree_sha": t.p.ids.hex("tree", 40),
	})
	if githubOwners[kind] != "" {
		number, err := strconv.Atoi(in.ID[strings.LastIndexByte(in.ID, '/')+1:])
		if err != nil {
			return nil, fmt.Errorf("github: %s: %w", in, err)
		}
		vars[githubOwners[kind]] = number
	}
	return vars, nil
}

func (github) basics(t *tx, kind string) fields {
	id := 1_700_000_000 + 1_000*int(t.p.ids.next("id")) + int(chance(t.p.cfg.Seed, "id", 0).Uint32N(1_000))
	return fields{
		"id": id, "node_id": nodeID(kind, t.p.ids.draw("node", base62, 11)), "now": githubTime(t.now), "kind": kind,
		"n": id % 1_000_000,
	}
}

// nodeID looks like the identifiers of GitHub's GraphQL API: the initials of
// the type, and an opaque rest.
func nodeID(kind, opaque string) string {
	var initials string
	for word := range strings.SplitSeq(kind, "_") {
		initials += strings.ToUpper(word[:1])
	}
	return initials + "_kwDOA" + opaque
}

// repository returns the repository of a ref, or the default one, and creates
// it if need be.
func (g github) repository(t *tx, in providers.Ref) (repo string, state fields, err error) {
	repo = githubRepository
	if parts := strings.SplitN(in.ID, "/", 3); len(parts) > 1 {
		repo = parts[0] + "/" + parts[1]
	}
	ref := providers.Ref{Type: "repository", ID: repo}
	if o := t.p.objects[ref]; o == nil || o.Deleted {
		if ref, err = g.createRepository(t, fields{"full_name": repo}); err != nil {
			return "", nil, err
		}
	}
	state, err = t.state(ref)
	return repo, state, err
}

func (g github) createRepository(t *tx, set fields) (providers.Ref, error) {
	repo := githubRepository
	if named, ok := set["full_name"].(string); ok {
		repo = named
	} else if t.p.objects[providers.Ref{Type: "repository", ID: repo}] != nil {
		repo = fmt.Sprintf("%s-%d", repo, t.p.ids.next("repository"))
	}
	owner, name, ok := strings.Cut(repo, "/")
	if !ok {
		return providers.Ref{}, fmt.Errorf("github: repository %q: want owner/name", repo)
	}
	vars := g.basics(t, "repository")
	maps.Copy(vars, fields{"repo": repo, "owner": owner, "name": name, "user": githubUser()})
	state, err := fill("github/repository", vars, set)
	if err != nil {
		return providers.Ref{}, err
	}
	ref := providers.Ref{Type: "repository", ID: repo}
	return ref, t.put(ref, []string{"/repos/" + repo, "/repositories/" + plain(state["id"])}, state)
}

var githubBraces = regexp.MustCompile(`\{[a-z_]+\}`)

// githubPath fills the path of a kind from the object, else from the values
// its template could use.
func githubPath(kind string, state, vars fields) (path string, err error) {
	path = githubBraces.ReplaceAllStringFunc(githubPathOf(kind), func(b string) string {
		name := strings.Trim(b, "{}")
		value, ok := state[name]
		if !ok {
			value, ok = vars[name]
		}
		if !ok {
			err = fmt.Errorf("github: a %s needs the member %s", kind, name)
		}
		text := plain(value)
		if kind == "ref" {
			return strings.TrimPrefix(text, "refs/")
		}
		return url.PathEscape(text)
	})
	return path, err
}

// plain is a member as text, with a decoded number as the integer it is.
func plain(v any) string {
	if number, ok := v.(float64); ok {
		return strconv.FormatInt(int64(number), 10)
	}
	return fmt.Sprint(v)
}

func (g github) happen(t *tx, typ string, on providers.Ref, set fields) (occurrence, error) {
	event, action := splitGithubType(typ)
	if event.name == "" {
		return occurrence{}, t.p.unknownType(typ)
	}
	full := event.name
	if action != "" {
		full += "." + action
	}
	on, created, err := g.subject(t, event, on, set)
	if err != nil {
		return occurrence{}, err
	}
	what := occurrence{Type: full, Ref: on}
	if event.name == "ping" || created && action == event.action {
		what.After, err = t.state(on)
	} else {
		what.Before, what.After, err = g.apply(t, full, action, on, set)
	}
	if err != nil {
		return occurrence{}, err
	}
	switch {
	case event.name == "ping":
		what.Ref = providers.Ref{}
	case full == "repository.renamed":
		what.Ref = g.rename(t, on, plain(what.After["full_name"]))
	case full == "delete", action == "deleted" && event.owns():
		err = t.remove(on)
	}
	return what, err
}

// apply changes the object as the event says, and returns its members before,
// where the payload tells of them, and after.
func (github) apply(t *tx, typ, action string, ref providers.Ref, set fields) (before, after fields, err error) {
	if action == "edited" || action == "renamed" {
		if before, err = t.state(ref); err != nil {
			return nil, nil, err
		}
	}
	after, err = t.change(ref, func(o fields) { githubApply(o, typ, action, set, t.now) })
	return before, after, err
}

// subject returns the object that an event is about: the one given, the
// repository, or a new one, which then is as the event's usual action leaves it.
func (g github) subject(t *tx, event githubEvent, on providers.Ref, set fields) (ref providers.Ref, created bool, err error) {
	if on.Type == event.kind {
		return on, false, nil
	}
	if event.kind == "repository" && !event.owns() {
		repo, _, err := g.repository(t, on)
		return providers.Ref{Type: "repository", ID: repo}, false, err
	}
	ref, err = g.createIn(t, event.kind, on, set)
	if err == nil && event.name == "push" {
		repository := providers.Ref{Type: "repository", ID: repositoryOf(ref)}
		_, err = t.change(repository, func(o fields) { o["pushed_at"] = githubTime(t.now) })
	}
	return ref, true, err
}

func repositoryOf(ref providers.Ref) string {
	parts := strings.SplitN(ref.ID, "/", 3)
	if len(parts) < 2 {
		return ref.ID
	}
	return parts[0] + "/" + parts[1]
}

// rename gives a repository the full name that its state has by now. Its old
// path redirects to one with its number, as do the paths of what is in it; the
// refs of these keep the old name.
func (github) rename(t *tx, old providers.Ref, fullName string) providers.Ref {
	o := t.p.objects[old]
	byID := o.Paths[1]
	renamed := &Object{
		Ref: providers.Ref{Type: "repository", ID: fullName}, Version: o.Version, State: o.State, body: o.body,
		Paths: []string{"/repos/" + fullName, byID}, CreatedAt: o.CreatedAt, ChangedAt: t.now,
	}
	delete(t.p.objects, old)
	delete(t.p.byPath, o.Paths[0])
	t.p.objects[renamed.Ref] = renamed
	for _, path := range renamed.Paths {
		t.p.byPath[path] = renamed
	}
	t.p.moved[o.Paths[0]] = byID
	t.p.alias[renamed.Paths[0]] = byID
	delete(t.p.moved, renamed.Paths[0]) // it may have been its name before
	return renamed.Ref
}
