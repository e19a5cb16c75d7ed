package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// The quota that answers show: a shop on the standard plan, with one query's
// cost. It is for show only: calls are throttled by Faults.
const (
	shopifyQuota   = 2000
	shopifyRestore = 100
	shopifyCost    = 12
)

// maxShopifyCall is more than any query that is sent here.
const maxShopifyCall = 1 << 20

var (
	shopifyEndpoint = regexp.MustCompile(`^/admin/api/(20[0-9]{2}-[0-9]{2}|unstable)/graphql\.json$`)
	shopifyField    = regexp.MustCompile(`\{\s*([a-zA-Z]+)\(id: \$id\)`)
)

// shopifyCall is what a call asks for: one object, by its id in the variables, or
// a page of a list.
type shopifyCall struct {
	Query     string `json:"query"`
	Variables struct {
		ID    string `json:"id"`
		After string `json:"after"`
		Query string `json:"query"`
	} `json:"variables"`
}

// readShopifyCall reads a call's body and leaves it to be read again. ok is false
// when the call is none of GraphQL.
func readShopifyCall(r *http.Request) (call shopifyCall, ok bool) {
	if r.Method != http.MethodPost || !shopifyEndpoint.MatchString(r.URL.Path) {
		return call, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxShopifyCall))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return call, err == nil && json.Unmarshal(body, &call) == nil
}

// field is the field of the query that takes the id.
func (c shopifyCall) field() string {
	found := shopifyField.FindStringSubmatch(c.Query)
	if found == nil {
		return ""
	}
	return found[1]
}

// shopifyPath is what a call is counted by, because all of Shopify's have the same
// path. Those for lists are counted by the field that they ask for: /orders.
func shopifyPath(gid string) string { return "/" + strings.TrimPrefix(gid, "gid://shopify/") }

func (shopify) locate(r *http.Request) string {
	call, ok := readShopifyCall(r)
	if !ok {
		return r.URL.Path
	}
	if listed := shopifyConnection.FindStringSubmatch(call.Query); listed != nil {
		return "/" + listed[1]
	}
	return shopifyPath(call.Variables.ID)
}

func shopifyAnswer(status int, body fields) *answer {
	return jsonAnswer(status, "application/json; charset=utf-8", body)
}

// shopifyErrors is how GraphQL tells of an error: inside an HTTP 200.
func shopifyErrors(message, code string, extensions fields) *answer {
	body := fields{"errors": []any{fields{"message": message, "extensions": fields{"code": code}}}}
	if extensions != nil {
		body["extensions"] = extensions
	}
	return shopifyAnswer(http.StatusOK, body)
}

func shopifyExtensions(requested, available int, actual any) fields {
	return fields{"cost": fields{
		"requestedQueryCost": requested,
		"actualQueryCost":    actual,
		"throttleStatus": fields{
			"maximumAvailable": shopifyQuota, "currentlyAvailable": available, "restoreRate": shopifyRestore,
		},
	}}
}

func (shopify) refuse(r *http.Request, key string) *answer {
	if key != "" && r.Header.Get("X-Shopify-Access-Token") == key {
		return nil
	}
	return shopifyAnswer(http.StatusUnauthorized, fields{
		"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)",
	})
}

// object answers with all that is known of the object, whichever members the
// query asks for, and with null when there is none.
func (shopify) object(r *http.Request, o *Object) *answer {
	call, ok := readShopifyCall(r)
	if !ok {
		return shopifyAnswer(http.StatusNotFound, fields{"errors": "Not Found"})
	}
	field := call.field()
	if field == "" {
		return shopifyErrors("Field doesn't exist on type 'QueryRoot'", "undefinedField", nil)
	}
	var state any
	if o != nil && !o.Deleted {
		if shopifyKindOf(o.Ref.Type).field != field {
			return shopifyErrors(fmt.Sprintf("Invalid id: %s", call.Variables.ID), "INVALID_VARIABLE", nil)
		}
		state = json.RawMessage(o.body)
	}
	return shopifyAnswer(http.StatusOK, fields{
		"data":       fields{field: state},
		"extensions": shopifyExtensions(shopifyCost, shopifyQuota-shopifyCost, shopifyCost),
	})
}

func (shopify) fault(f APIFault, _ time.Time) *answer {
	switch f.Kind {
	case FaultThrottle:
		// The quota lacks as much as it regains in the time that is asked for.
		lacks := int(math.Ceil(f.RetryAfter.Seconds() * shopifyRestore))
		return shopifyErrors("Throttled", "THROTTLED", shopifyExtensions(max(lacks, 1), 0, nil))
	case FaultRateLimit:
		a := shopifyAnswer(http.StatusTooManyRequests, fields{"errors": "Exceeded the rate limit for api client."})
		addRetryAfter(a.header, f)
		return a
	default:
		a := shopifyAnswer(orDefault(f.Status, http.StatusInternalServerError), fields{"errors": "Internal Server Error"})
		addRetryAfter(a.header, f)
		return a
	}
}

func (shopify) sign(h http.Header, call callInfo) {
	h.Set("Server", "cloudflare")
	h.Set("X-Request-Id", fmt.Sprintf("00000000-0000-4000-8000-%012x", call.Number))
	h.Set("X-Shopify-Api-Version", shopifyAPIVersion)
}
