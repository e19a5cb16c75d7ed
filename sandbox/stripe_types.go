package sandbox

import "strings"

// stripeType describes one type of Stripe's objects.
type stripeType struct {
	collection string   // where below /v1 the API has them
	prefix     string   // of their identifiers
	needs      []string // the members that name other objects it cannot be without, by type
}

var stripeTypes = map[string]stripeType{
	"charge":                {"charges", "ch_", []string{"customer"}},
	"checkout.session":      {"checkout/sessions", "cs_test_", []string{"customer"}},
	"coupon":                {"coupons", "", nil},
	"credit_note":           {"credit_notes", "cn_", []string{"customer", "invoice"}},
	"customer":              {"customers", "cus_", nil},
	"dispute":               {"disputes", "du_", []string{"charge"}},
	"invoice":               {"invoices", "in_", []string{"customer"}},
	"invoiceitem":           {"invoiceitems", "ii_", []string{"customer"}},
	"payment_intent":        {"payment_intents", "pi_", []string{"customer"}},
	"payment_link":          {"payment_links", "plink_", nil},
	"payment_method":        {"payment_methods", "pm_", []string{"customer"}},
	"payout":                {"payouts", "po_", nil},
	"price":                 {"prices", "price_", []string{"product"}},
	"product":               {"products", "prod_", nil},
	"refund":                {"refunds", "re_", []string{"charge"}},
	"setup_intent":          {"setup_intents", "seti_", []string{"customer"}},
	"subscription":          {"subscriptions", "sub_", []string{"customer", "price"}},
	"subscription_schedule": {"subscription_schedules", "sub_sched_", []string{"customer"}},
	"transfer":              {"transfers", "tr_", nil},
}

// stripeTypeOf returns how the sandbox makes objects of a type. One that is
// not listed gets the members that nearly all objects have, and the address
// that follows from Stripe's custom: "issuing.card" is at /v1/issuing/cards.
func stripeTypeOf(typ string) stripeType {
	if kind, ok := stripeTypes[typ]; ok {
		return kind
	}
	return stripeType{
		collection: strings.ReplaceAll(typ, ".", "/") + "s",
		prefix:     strings.ReplaceAll(typ, ".", "_") + "_",
	}
}

// stripeEventObjects lists the event types that are not called after the type
// of their object, by what they begin with.
var stripeEventObjects = []struct{ prefix, object string }{
	{"account.application.", "application"},
	{"account.external_account.", "bank_account"},
	{"charge.dispute.", "dispute"},
	{"charge.refund.", "refund"},
	{"customer.card.", "card"},
	{"customer.discount.", "discount"},
	{"customer.source.", "card"},
	{"customer.subscription.", "subscription"},
	{"customer.tax_id.", "tax_id"},
}

// splitStripeType returns the type of the object an event type is about, and
// what happens to it; nothing when the event type is not made of both.
func splitStripeType(typ string) (object, verb string) {
	for _, special := range stripeEventObjects {
		if verb, ok := strings.CutPrefix(typ, special.prefix); ok {
			return special.object, verb
		}
	}
	dot := strings.LastIndexByte(typ, '.')
	if dot <= 0 || dot == len(typ)-1 {
		return "", ""
	}
	object, verb = typ[:dot], typ[dot+1:]
	if rest, ok := strings.CutPrefix(object, "issuing_"); ok {
		object = "issuing." + rest
	}
	return object, verb
}

// stripeEffects says what an event type means for its object's members. Types
// that are not listed change nothing but the version.
var stripeEffects = map[string]func(o fields, now int64){
	"charge.captured":                 chargeSucceeded,
	"charge.dispute.closed":           status("lost"),
	"charge.dispute.created":          status("needs_response"),
	"charge.dispute.funds_reinstated": status("won"),
	"charge.failed":                   chargeFailed,
	"charge.pending":                  status("pending"),
	"charge.refunded":                 chargeRefunded,
	"charge.succeeded":                chargeSucceeded,
	"checkout.session.completed":      sessionCompleted,
	"checkout.session.expired":        status("expired"),
	"customer.subscription.deleted":   subscriptionCanceled,
	"customer.subscription.paused":    status("paused"),
	"customer.subscription.resumed":   status("active"),
	"invoice.finalized":               invoiceFinalized,
	"invoice.marked_uncollectible":    status("uncollectible"),
	"invoice.paid":                    invoicePaid,
	"invoice.payment_failed":          invoicePaymentFailed,
	"invoice.payment_succeeded":       invoicePaid,
	"invoice.sent":                    invoiceFinalized,
	"invoice.voided":                  invoiceVoided,
	"payment_intent.canceled":         intentCanceled,
	"payment_intent.payment_failed":   intentFailed,
	"payment_intent.processing":       status("processing"),
	"payment_intent.requires_action":  status("requires_action"),
	"payment_intent.succeeded":        intentSucceeded,
	"payout.canceled":                 status("canceled"),
	"payout.failed":                   payoutFailed,
	"payout.paid":                     status("paid"),
	"refund.failed":                   status("failed"),
	"setup_intent.canceled":           status("canceled"),
	"setup_intent.succeeded":          status("succeeded"),
}

func status(s string) func(fields, int64) {
	return func(o fields, _ int64) { o["status"] = s }
}

func chargeSucceeded(o fields, _ int64) {
	o["status"], o["paid"], o["captured"] = "succeeded", true, true
	o["amount_captured"] = o["amount"]
}

func chargeFailed(o fields, _ int64) {
	o["status"], o["paid"], o["captured"] = "failed", false, false
	o["amount_captured"] = 0
	o["failure_code"], o["failure_message"] = "card_declined", "Your card was declined."
}

func chargeRefunded(o fields, now int64) {
	chargeSucceeded(o, now)
	o["refunded"] = true
	o["amount_refunded"] = o["amount"]
}

func sessionCompleted(o fields, _ int64) {
	o["status"], o["payment_status"], o["url"] = "complete", "paid", nil
}

func subscriptionCanceled(o fields, now int64) {
	o["status"], o["canceled_at"], o["ended_at"] = "canceled", now, now
}

// transition notes the time of an invoice's change of status.
func transition(o fields, name string, now int64) {
	times, ok := o["status_transitions"].(fields)
	if !ok {
		times = fields{}
		o["status_transitions"] = times
	}
	if times[name] == nil {
		times[name] = now
	}
}

func invoiceFinalized(o fields, now int64) {
	o["status"], o["effective_at"] = "open", now
	transition(o, "finalized_at", now)
}

func invoicePaid(o fields, now int64) {
	invoiceFinalized(o, now)
	o["status"], o["attempted"], o["attempt_count"] = "paid", true, 1
	o["amount_paid"], o["amount_remaining"] = o["amount_due"], 0
	o["next_payment_attempt"] = nil
	transition(o, "paid_at", now)
}

func invoicePaymentFailed(o fields, now int64) {
	invoiceFinalized(o, now)
	attempts, _ := o["attempt_count"].(float64)
	o["attempted"], o["attempt_count"] = true, attempts+1
	o["next_payment_attempt"] = now + 3*24*60*60
}

func invoiceVoided(o fields, now int64) {
	o["status"] = "void"
	transition(o, "voided_at", now)
}

func intentCanceled(o fields, now int64) {
	o["status"], o["canceled_at"], o["cancellation_reason"] = "canceled", now, "requested_by_customer"
}

func intentFailed(o fields, _ int64) {
	o["status"] = "requires_payment_method"
	o["last_payment_error"] = fields{
		"code": "card_declined", "decline_code": "generic_decline", "type": "card_error",
		"message": "Your card was declined.", "doc_url": "https://stripe.com/docs/error-codes/card-declined",
	}
}

func intentSucceeded(o fields, _ int64) {
	o["status"], o["amount_received"], o["last_payment_error"] = "succeeded", o["amount"], nil
}

func payoutFailed(o fields, _ int64) {
	o["status"], o["failure_code"] = "failed", "account_closed"
	o["failure_message"] = "The bank account has been closed."
}
