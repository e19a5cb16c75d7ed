package msgraph

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surehook/surehook/providers"
)

// Subscribe is a subscription that the source keeps alive.
type Subscribe struct {
	// Resource is what it is to, as Graph takes it: "users", "users/<id>/messages".
	Resource string `yaml:"resource"`
	// Changes are the kinds of changes that are sent, separated by commas; by
	// default all that the resource has.
	Changes string `yaml:"changes"`
	// Lifetime is how long it is made to last each time, at most as long as Graph
	// lets one of this resource; by default just that.
	Lifetime time.Duration `yaml:"lifetime"`
	// Delta are the delta functions that show what the subscription missed, such as
	// "users/delta". Of mail, each folder has one of its own.
	Delta []string `yaml:"delta"`
}

// resource is a kind of resource that can be subscribed to.
type resource struct {
	paths   string // a pattern, as in providers.MatchType, in lower case
	longest time.Duration
	changes string
	// kind is that of the objects, and collection what stands before an object's id
	// in notifications about it: in their spelling, below the user if it is a user's.
	// Without a kind there is no delta function whose objects could be named as
	// notifications name them.
	kind       string
	collection string
}

const (
	allChanges = "created,updated,deleted"
	day        = 24 * time.Hour
)

// resources are the kinds that we know; the first match counts. Others can be
// subscribed to where the settings say for how long.
//
// Source: learn.microsoft.com/graph/change-notifications-overview, "Subscription
// lifetime", and learn.microsoft.com/graph/api/resources/subscription.
var resources = []resource{
	{paths: "users", longest: 29 * day, changes: "updated,deleted", kind: "user"},
	{paths: "groups", longest: 29 * day, changes: "updated,deleted", kind: "group", collection: "Groups/"},
	{paths: "users/*/messages", longest: 7 * day, changes: allChanges, kind: "message", collection: "Messages/"},
	{paths: "users/*/events", longest: 7 * day, changes: allChanges, kind: "event", collection: "Events/"},
	{paths: "users/*/contacts", longest: 7 * day, changes: allChanges, kind: "contact", collection: "Contacts/"},
	{paths: "users/*/todo/lists/*/tasks", longest: 4230 * time.Minute, changes: allChanges},
	{paths: "chats*", longest: 3 * day, changes: allChanges},
	{paths: "teams*", longest: 3 * day, changes: allChanges},
	{paths: "*drive*/root", longest: 42300 * time.Minute, changes: "updated"},
	{paths: "sites/*/lists/*", longest: 42300 * time.Minute, changes: "updated"},
}

// subscribed is a Subscribe that has been found right.
type subscribed struct {
	resource string
	changes  string
	lifetime time.Duration
	deltas   []delta
}

// delta is a delta function, and how its objects are named.
type delta struct {
	path   string // below the API's version
	kind   string
	prefix string // of a ref's id, before that of the object
}

var changeTypes = []string{"created", "updated", "deleted"}

func (s Settings) checkSubscribe() ([]subscribed, error) {
	var all []subscribed
	var errs []error
	if len(s.Subscribe) > 0 && len(s.Subscriptions) > 0 {
		errs = append(errs, wrong("subscribe", "goes with the source's secrets and not with subscriptions: the id of a new one is not known beforehand"))
	}
	for i, declared := range s.Subscribe {
		one, err := declared.check(fmt.Sprintf("subscribe[%d]", i))
		all, errs = append(all, one), append(errs, err)
	}
	return all, errors.Join(errs...)
}

func (s Subscribe) check(field string) (subscribed, error) {
	one := subscribed{resource: strings.Trim(s.Resource, "/")}
	kind := resourceOf(one.resource)
	one.changes, one.lifetime = cmp.Or(s.Changes, kind.changes), cmp.Or(s.Lifetime, kind.longest)
	var errs []error
	if one.resource == "" || strings.ContainsFunc(one.resource, func(c rune) bool { return c < ' ' || c > '~' }) {
		errs = append(errs, wrong(field+".resource", "want what to subscribe to, such as users or users/<id>/messages"))
	}
	if one.changes == "" || slices.ContainsFunc(strings.Split(one.changes, ","), func(c string) bool { return !slices.Contains(changeTypes, c) }) {
		errs = append(errs, wrong(field+".changes", "want some of %s, separated by commas", allChanges))
	}
	switch {
	case one.lifetime <= 0:
		errs = append(errs, wrong(field+".lifetime", "is needed: how long Graph lets a subscription to this resource last is not known here"))
	case kind.longest > 0 && one.lifetime > kind.longest:
		errs = append(errs, wrong(field+".lifetime", "Graph takes %s at most", kind.longest))
	}
	for i, path := range s.Delta {
		d, err := kind.delta(one.resource, strings.Trim(path, "/"))
		if err != nil {
			errs = append(errs, wrong(fmt.Sprintf("%s.delta[%d]", field, i), "%w", err))
		}
		one.deltas = append(one.deltas, d)
	}
	return one, errors.Join(errs...)
}

func resourceOf(path string) resource {
	for _, r := range resources {
		if providers.MatchType(r.paths, strings.ToLower(path)) {
			return r
		}
	}
	return resource{}
}

// The ways in which a delta function is of no use.
var (
	errNoDelta   = errors.New("want the path of a delta function, such as users/delta")
	errNoKind    = errors.New("only users, groups, and a user's messages, events and contacts are named by a delta as by notifications")
	errNoGUID    = errors.New("want the user in resource by his id, as notifications name him")
	errOtherUser = errors.New("is not of the user, or the kind, that the resource is of")
)

// delta reads the path of a function that shows the objects of the resource.
func (r resource) delta(of, path string) (delta, error) {
	call, query, _ := strings.Cut(path, "?")
	if _, err := url.ParseQuery(query); err != nil || !isDelta(call) {
		return delta{}, errNoDelta
	}
	d := delta{path: path, kind: r.kind, prefix: r.collection}
	owner := strings.Split(of, "/")
	switch {
	case r.kind == "":
		return delta{}, errNoKind
	case len(owner) == 1: // the directory's
		if !strings.EqualFold(call, of+"/delta") {
			return delta{}, errOtherUser
		}
		return d, nil
	case !guids.MatchString(owner[1]):
		return delta{}, errNoGUID
	case !strings.HasPrefix(strings.ToLower(call), strings.ToLower(usersPrefix+owner[1]+"/")):
		return delta{}, errOtherUser
	}
	d.prefix = owner[1] + "/" + r.collection
	return d, nil
}

// isDelta reports whether a path below the API's version is that of a delta
// function, also as Graph writes it in links.
func isDelta(path string) bool {
	parts := strings.Split(path, "/")
	last := strings.TrimPrefix(parts[len(parts)-1], "microsoft.graph.")
	return len(parts) > 1 && (last == "delta" || last == "delta()") && areSegments(parts[:len(parts)-1])
}
