package msgraph

import (
	"regexp"
	"slices"
	"strings"

	"github.com/surehook/surehook/providers"
)

const (
	subscription = "subscription"

	// usersPrefix is left out of a ref's id before a user's GUID: no collection
	// at the root of the API is called like one, and with it the path of an
	// Outlook message would be longer than a ref's id may be.
	usersPrefix = "users/"
)

var (
	// segments are what may stand between the slashes of a path. All of it is
	// legal in a URL as it is, so that nothing has to be escaped and nothing can
	// end the path; "." and ".." are refused beside it. Outlook's ids need = _ -,
	// Teams' : and @, and keys may stand in brackets: chats('19:…@thread.v2').
	segments = regexp.MustCompile(`^[0-9A-Za-z_=@.:!$*+,~-]+(?:\('[0-9A-Za-z_=@.:!$*+,~-]+'\))?$`)
	bracket  = regexp.MustCompile(`^([A-Za-z][0-9A-Za-z_]*)\('([^']+)'\)$`)
	guids    = regexp.MustCompile(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
)

// collections are where objects of a kind are, for kinds whose collection is
// not called after them.
var collections = map[string][]string{
	"aadUserConversationMember": {"members", "allMembers"},
	"alert":                     {"alerts", "alerts_v2"},
	"callRecording":             {"recordings"},
	"callTranscript":            {"transcripts"},
	"chatMessage":               {"messages", "replies"},
	"conversationMember":        {"members", "allMembers"},
	"driveItem":                 {"items"},
	"todoTask":                  {"tasks"},
}

// objectID returns a ref's id for a notification's resource, which is the
// object's path in the API.
func objectID(resource, tenant string) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(resource, "/"), "/")
	if strings.EqualFold(parts[0], "users") && len(parts) > 1 {
		// Outlook writes user@tenant; the tenant is the ref's account.
		user, of, _ := strings.Cut(parts[1], "@")
		if guids.MatchString(user) && (of == "" || strings.EqualFold(of, tenant)) {
			parts = append([]string{user}, parts[2:]...)
		}
	}
	id := strings.Join(parts, "/")
	return id, len(id) <= providers.MaxName && areSegments(parts)
}

func areSegments(parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool {
		return part == "." || part == ".." || !segments.MatchString(part)
	})
}

// objectPath returns where the API has the object of a ref, below its version.
// The path must end in a collection of the ref's type and a key, so that an id
// can lead to nothing but an object of its type.
func objectPath(ref providers.Ref) (string, bool) {
	if len(ref.ID) > providers.MaxName {
		return "", false
	}
	if ref.Type == subscription {
		return "subscriptions/" + ref.ID, subscriptionIDs.MatchString(ref.ID)
	}
	parts := strings.Split(ref.ID, "/")
	if !areSegments(parts) {
		return "", false
	}
	path := ref.ID
	if guids.MatchString(parts[0]) {
		path = usersPrefix + path
		parts = append([]string{"users"}, parts...)
	}
	collection, ok := lastCollection(parts)
	if !ok || !holds(collection, ref.Type) {
		return "", false
	}
	return path, true
}

// lastCollection returns the collection that holds the object at a path, which
// ends in collection/key or in collection('key'). The root of a drive is an
// object without a key.
func lastCollection(parts []string) (collection string, ok bool) {
	last := parts[len(parts)-1]
	if in := bracket.FindStringSubmatch(last); in != nil {
		return in[1], true
	}
	switch {
	case len(parts) < 2:
		return "", false
	case last == "root":
		return last, true
	}
	return parts[len(parts)-2], true
}

func holds(collection, kind string) bool {
	if strings.EqualFold(collection, "root") {
		return kind == "root" || kind == "driveItem"
	}
	if special := collections[kind]; special != nil {
		return slices.ContainsFunc(special, func(c string) bool { return strings.EqualFold(c, collection) })
	}
	return strings.EqualFold(collection, kind+"s")
}
