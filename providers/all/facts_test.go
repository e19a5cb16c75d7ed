package all_test

// fact is what the table of docs/platforms.md says of a platform that its
// provider's code does not say of itself. The sources of these are named where
// the providers make use of them, and in the runbooks.
type fact struct {
	signature string // what proves a request
	age       string // how far the signed time may be from ours; empty when none is signed
	ids       string // what names an event, and whether that is signed
	asks      string // what is answered and carries no event; empty without
	many      bool   // a request may carry several events
	unchanged bool   // to fetch what has not changed costs nothing
	deadline  string // how long the platform waits for our answer; empty where it does not say
	retries   string // what it does when it gets none
}

// What names an event.
const (
	signedID   = "signed"
	unsignedID = "not signed: the signed bytes are compared, too"
	partsID    = "none: made of what is signed"
)

// facts has one line for each platform.
var facts = map[string]fact{
	"adyen":             {"HMAC-SHA256 of eight fields of each event", "", partsID, "", true, false, "10 s", "30 days"},
	"calendly":          {"HMAC-SHA256 of time and body", "3 min", partsID, "", false, false, "15 s", "24 h"},
	"discord":           {"Ed25519 of time and body", "15 min", signedID, "PING", false, false, "3 s", "none"},
	"discord-events":    {"Ed25519 of time and body", "15 min", partsID, "PING", false, false, "3 s", "10 min"},
	"github":            {"HMAC-SHA256 of the body", "", unsignedID, "`ping`", false, true, "10 s", "**none**"},
	"gitlab":            {"HMAC-SHA256 of id, time and body", "5 min", signedID, "", false, false, "10 s", "none; it is disabled for a while"},
	"gitlab-token":      {"a token in a header", "", "not signed", "", false, false, "10 s", "none; it is disabled for a while"},
	"hubspot":           {"HMAC-SHA256 of method, URL, body and time", "5 min", partsID, "", true, false, "5 s", "10 in 24 h"},
	"intercom":          {"HMAC-SHA1 of the body", "", signedID, "HEAD, `ping`", false, false, "5 s", "few"},
	"jira":              {"HMAC-SHA256 of the body", "", unsignedID, "", false, false, "", "5, each after 5 to 15 min"},
	"launchdarkly":      {"HMAC-SHA256 of the body", "", signedID, "", false, false, "", "1"},
	"linear":            {"HMAC-SHA256 of the body, which has the time", "1 min", unsignedID, "", false, false, "5 s", "3 in 7 h"},
	"mailchimp":         {"HMAC-SHA256 of time and body, or a secret in the URL", "5 min", partsID, "GET", false, false, "10 s", "75 min"},
	"mandrill":          {"HMAC-SHA1 of URL and form", "", signedID, "HEAD, no events", true, false, "", "until it is answered"},
	"msgraph":           {"a secret in the body; a JWT where there is resource data", "", "none: made of the notification", "`validationToken`", true, false, "3 s", "4 h"},
	"paddle":            {"HMAC-SHA256 of time and body", "5 min", signedID, "", false, false, "5 s", "60 in 3 days"},
	"pagerduty":         {"HMAC-SHA256 of the body", "", signedID, "`pagey.ping`", false, false, "", "few"},
	"paypal":            {"RSA-SHA256 of transmission, time, webhook and CRC-32", "", "the transmission's is signed", "", false, false, "", "25 in 3 days"},
	"sendgrid":          {"ECDSA of time and body", "24 h", signedID, "", true, false, "", "24 h"},
	"shopify":           {"HMAC-SHA256 of the body", "", unsignedID, "", false, false, "5 s", "8 in 4 h, then it unsubscribes"},
	"slack":             {"HMAC-SHA256 of time and body", "5 min", signedID, "`url_verification`, `ssl_check`", false, false, "3 s", "3 in 6 min"},
	"square":            {"HMAC-SHA256 of URL and body", "", signedID, "", false, false, "10 s", "11 in 24 h"},
	"standard-webhooks": {"HMAC-SHA256 or Ed25519 of id, time and body", "5 min", signedID, "", false, true, "15 s", "10 in 76 h, as recommended"},
	"stripe":            {"HMAC-SHA256 of time and body", "5 min", signedID, "", false, false, "", "3 days"},
	"twilio":            {"HMAC-SHA1 of URL and form, or of URL and the body's hash", "", partsID, "", false, false, "15 s", "**1, if it could not connect**"},
	"typeform":          {"HMAC-SHA256 of the body", "", signedID, "", false, false, "30 s", "10 h"},
	"zendesk":           {"HMAC-SHA256 of time and body", "5 min", unsignedID, "", false, false, "12 s", "few"},
}

// listFact is what the table says of a platform's lists.
type listFact struct {
	names    []string // of all that it can have
	settings string   // those that make it have them; empty where it has all without any
	shows    string
	hides    string // what a reconciliation by these lists does not find
}

// lists has one line for each platform whose provider is a Lister.
var lists = map[string]listFact{
	"github": {
		names: []string{"deliveries", "issue", "pull-request"}, settings: "`hooks`, `repositories`",
		shows: "what the hooks have sent, for 3 days; issues and pull requests by their last change",
		hides: "other objects, deleted issues",
	},
	"jira": {
		names: []string{"issue"},
		shows: "issues by their last change, as the search index has them",
		hides: "deleted issues; comments and all other objects",
	},
	"mailchimp": {
		names: []string{"member"}, settings: "`audiences`",
		shows: "members, archived ones too, by their last change",
		hides: "campaigns, members deleted for good",
	},
	"msgraph": {
		names: []string{"delta"}, settings: "`subscribe`",
		shows: "what has changed since the last run, deletions included: users, groups, mail by folder, calendars, contacts",
		hides: "other kinds, folders that are not named, files, Teams",
	},
	"shopify": {
		names:    []string{"order", "customer", "product", "draft-order", "collection", "variant", "inventory-item"},
		settings: "`shop` or `shops`",
		shows:    "objects by their last change",
		hides:    "locations, fulfillments, refunds, deleted objects; without `read_all_orders`, orders older than 60 days",
	},
	"slack": {
		names: []string{"message"}, settings: "`channels`",
		shows: "messages by when they were written",
		hides: "changes and deletions of older messages, replies in threads, all other objects",
	},
	"stripe": {
		names: []string{
			"events", "charge", "checkout-session", "credit-note", "customer", "dispute", "invoice", "invoiceitem", "payment-intent", "payout",
			"price", "product", "refund", "setup-intent", "subscription", "subscription-schedule", "transfer",
		},
		shows: "events not delivered, for 30 days; objects by their creation",
		hides: "changes of older objects that no event tells of, deleted ones, connected accounts",
	},
	"twilio": {
		names: []string{"message", "call", "recording", "conference"},
		shows: "messages by the day they were sent, calls by that of their start, recordings by that of their creation, conferences by that of their last change",
		hides: "what changes later than a day after that; messages never sent and calls never started; transcriptions, deleted objects",
	},
}
