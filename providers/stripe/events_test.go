package stripe_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	sdk "github.com/stripe/stripe-go/v85"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/providers/providertest"
)

func eventIn(t *testing.T, body string) providers.Event {
	t.Helper()
	return providertest.OneEvent(t, open(t), request(body))
}

func TestEventsReadsASnapshotEvent(t *testing.T) {
	want := providers.Event{
		ID:         "evt_1Pgc7n",
		Type:       "invoice.paid",
		Ref:        providers.Ref{Type: "invoice", ID: "in_1Pgc7m"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Mode:       providers.ModeLive,
		APIVersion: "2026-08-26.dahlia",
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, snapshot)))
}

func TestEventsReadsAThinEvent(t *testing.T) {
	want := providers.Event{
		ID:         "evt_test_65R9Ijk8",
		Type:       "v1.billing.meter.error_report_triggered",
		Ref:        providers.Ref{Type: "billing.meter", ID: "mtr_test_61R9IeP0", Account: "acct_1Nv0FG"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC),
		Mode:       providers.ModeTest,
	}
	require.Empty(t, cmp.Diff(want, eventIn(t, thin)))
}

func TestEventsReadsWhatIsSpecialAboutAnEvent(t *testing.T) {
	with := func(old, replacement string) providers.Event {
		require.Contains(t, snapshot, old)
		return eventIn(t, strings.Replace(snapshot, old, replacement, 1))
	}
	t.Run("the Connect account it happened in", func(t *testing.T) {
		require.Equal(t, "acct_1", with(`"created"`, `"account": "acct_1", "created"`).Ref.Account)
	})
	t.Run("the account within an organization", func(t *testing.T) {
		require.Equal(t, "org_1/acct_1", with(`"created"`, `"context": "org_1/acct_1", "created"`).Ref.Account)
	})
	t.Run("an account before its context", func(t *testing.T) {
		require.Equal(t, "acct_1", with(`"created"`, `"account": "acct_1", "context": "acct_2", "created"`).Ref.Account)
	})
	t.Run("that it names no account when its members are null", func(t *testing.T) {
		require.Empty(t, with(`"created"`, `"account": null, "context": null, "created"`).Ref.Account)
	})
	t.Run("no version when the account has none", func(t *testing.T) {
		require.Empty(t, with(`"2026-08-26.dahlia"`, `null`).APIVersion)
	})
	t.Run("that its object was deleted", func(t *testing.T) {
		require.True(t, with(`"invoice.paid"`, `"customer.discount.deleted"`).Deleted)
		require.False(t, with(`"invoice.paid"`, `"customer.discount.created"`).Deleted)
	})
	t.Run("an object without an id, which is none of its own", func(t *testing.T) {
		event := with(`{"id": "in_1Pgc7m", "object": "invoice", "amount_due": 1200}`, `{"object": "balance", "available": []}`)
		require.True(t, event.Ref.IsZero())
		require.Equal(t, "evt_1Pgc7n", event.ID)
	})
	t.Run("an id that a user chose", func(t *testing.T) {
		require.Equal(t, "25% off", with(`"in_1Pgc7m"`, `"25% off"`).Ref.ID)
	})
	t.Run("an id of 200 bytes, but none of 201", func(t *testing.T) {
		long := strings.Repeat("x", 200)
		require.Equal(t, long, with(`"evt_1Pgc7n"`, `"`+long+`"`).ID)
		_, err := open(t).Events(request(strings.Replace(snapshot, "evt_1Pgc7n", long+"x", 1)))
		require.ErrorIs(t, err, providers.ErrMalformed)
	})
	t.Run("a thin event about nothing in particular", func(t *testing.T) {
		body := strings.Replace(thin, `"related_object"`, `"related_object": null, "x"`, 1)
		require.True(t, eventIn(t, body).Ref.IsZero())
	})
}

func TestEventsErrorsSayWhatIsMissing(t *testing.T) {
	for missing, body := range map[string]string{
		"livemode is missing":    strings.Replace(snapshot, `"livemode"`, `"x"`, 1),
		"data.object is missing": strings.Replace(snapshot, `"data"`, `"x"`, 1),
		"created is no time":     strings.Replace(snapshot, `"created"`, `"x"`, 1),
	} {
		_, err := open(t).Events(request(body))
		require.EqualError(t, err, "stripe: read event: malformed: "+missing)
	}
}

// verify judges a header that was made by hand.
func verify(t *testing.T, header string, at time.Time) error {
	t.Helper()
	r := request(snapshot)
	r.ReceivedAt = at
	r.Header.Set("Stripe-Signature", header)
	return open(t).Verify(r, providers.Secrets{secret})
}

func TestVerifyReadsTheHeaderAsDocumented(t *testing.T) {
	at := time.Unix(1767323046, 0)
	right := hex.EncodeToString(sdk.ComputeSignature(at, []byte(snapshot), secret))
	wrong := strings.Repeat("0", 64)

	for name, header := range map[string]string{
		"one signature":                         "t=1767323046,v1=" + right,
		"the right one first":                   "t=1767323046,v1=" + right + ",v1=" + wrong,
		"the right one last":                    "t=1767323046,v1=" + wrong + ",v1=" + right,
		"a signature of another scheme":         "t=1767323046,v1=" + right + ",v0=" + wrong,
		"a scheme to come":                      "t=1767323046,v2=abc=def,v1=" + right,
		"blanks after the commas":               "t=1767323046, v1=" + wrong + ", v1=" + right,
		"the time last":                         "v1=" + right + ",t=1767323046",
		"a signature that is no hex beside it":  "t=1767323046,v1=zz,v1=" + right,
		"as many signatures as are looked at":   "t=1767323046" + strings.Repeat(",v1="+wrong, 15) + ",v1=" + right,
		"a signature in capital hex, as in SDK": "t=1767323046,v1=" + strings.ToUpper(right),
	} {
		t.Run(name+" is accepted", func(t *testing.T) { require.NoError(t, verify(t, header, at)) })
	}
	for name, header := range map[string]string{
		"the right signature as v0":       "t=1767323046,v0=" + right,
		"the right signature as V1":       "t=1767323046,V1=" + right,
		"the right signature without v1":  "t=1767323046," + right,
		"a time twice":                    "t=1767323046,t=1767323046,v1=" + right,
		"another time before it":          "t=1767323000,t=1767323046,v1=" + right,
		"no time":                         "v1=" + right,
		"a time with a sign":              "t=+1767323046,v1=" + right,
		"a time with a leading zero":      "t=01767323046,v1=" + right,
		"a time with a fraction":          "t=1767323046.0,v1=" + right,
		"a time in hex":                   "t=0x695735a6,v1=" + right,
		"a time beyond all time":          "t=99999999999999999999,v1=" + right,
		"a comma too many":                "t=1767323046,v1=" + right + ",",
		"semicolons":                      "t=1767323046;v1=" + right,
		"half a signature":                "t=1767323046,v1=" + right[:32],
		"more signatures than we look at": "t=1767323046" + strings.Repeat(",v1="+wrong, 16) + ",v1=" + right,
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			require.ErrorIs(t, verify(t, header, at), providers.ErrUnauthenticated)
		})
	}
}

func TestVerifyJudgesTheFractionOfASecond(t *testing.T) {
	signed := time.Unix(1767323046, 0)
	header := "t=1767323046,v1=" + hex.EncodeToString(sdk.ComputeSignature(signed, []byte(snapshot), secret))
	require.NoError(t, verify(t, header, signed.Add(300*time.Second)))
	require.ErrorIs(t, verify(t, header, signed.Add(300*time.Second+time.Nanosecond)), providers.ErrStale)
	require.NoError(t, verify(t, header, signed.Add(-300*time.Second)))
	require.ErrorIs(t, verify(t, header, signed.Add(-300*time.Second-time.Nanosecond)), providers.ErrStale)
}

func TestTheSDKAcceptsWhatSignSigns(t *testing.T) {
	for _, body := range []string{snapshot, thin, "", "\x00\xff", strings.Repeat("x", 1<<20)} {
		r := request(body)
		r.Header = nil
		r.ReceivedAt = time.Now()
		require.NoError(t, open(t).Sign(&r, providers.Secrets{secret}))
		header := r.Header.Get("Stripe-Signature")
		require.NoError(t, sdk.ValidatePayload(r.Body, header, secret))
		require.Error(t, sdk.ValidatePayload(r.Body, header, secret+"x"))
	}
}

func TestTheSDKReadsTheSameEvent(t *testing.T) {
	r := request(snapshot)
	r.ReceivedAt = time.Now()
	require.NoError(t, open(t).Sign(&r, providers.Secrets{secret}))
	theirs, err := sdk.ConstructEvent(r.Body, r.Header.Get("Stripe-Signature"), secret, sdk.WithIgnoreAPIVersionMismatch())
	require.NoError(t, err)

	ours := eventIn(t, snapshot)
	require.Equal(t, theirs.ID, ours.ID)
	require.Equal(t, string(theirs.Type), ours.Type)
	require.Equal(t, theirs.Created, ours.OccurredAt.Unix())
	require.Equal(t, theirs.Livemode, ours.Mode == providers.ModeLive)
	require.Equal(t, theirs.APIVersion, ours.APIVersion)
	require.Equal(t, theirs.Data.Object["id"], ours.Ref.ID)
	require.Equal(t, theirs.Data.Object["object"], ours.Ref.Type)
}

func FuzzVerify(f *testing.F) {
	at := time.Unix(1767323046, 0)
	genuine := sdk.GenerateTestSignedPayload(&sdk.UnsignedPayload{Payload: []byte(snapshot), Secret: secret, Timestamp: at}).Header
	for _, header := range []string{genuine, "", "t=1,v1=00", "t=,v1=", "v1=,t=", ",,,", "t=1767323046, v1=00,v0=00", strings.Replace(genuine, "v1", "v0", 1)} {
		f.Add(header, []byte(snapshot))
	}
	f.Add(genuine, []byte(thin))
	p := open(f)
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		r := request(string(body))
		r.ReceivedAt = at
		r.Header.Set("Stripe-Signature", header)
		err := p.Verify(r, providers.Secrets{secret})
		if err != nil {
			require.True(t, errors.Is(err, providers.ErrUnauthenticated) != errors.Is(err, providers.ErrStale), err)
			return
		}
		// Nobody but the holder of the secret can make a header that verifies.
		require.Equal(t, snapshot, string(body))
		require.Contains(t, strings.ToLower(header), strings.TrimPrefix(genuine, "t=1767323046,v1="))
	})
}

func FuzzChangedByte(f *testing.F) {
	f.Add([]byte(snapshot), uint(0), byte(1), false)
	f.Add([]byte(thin), uint(100), byte(0x20), false)
	f.Add([]byte(thin), uint(5), byte(0x03), true)
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte, position uint, flip byte, inHeader bool) {
		r := request(string(body))
		r.ReceivedAt = time.Unix(1767323046, 0)
		require.NoError(t, p.Sign(&r, providers.Secrets{secret}))
		require.NoError(t, p.Verify(r, providers.Secrets{secret}))

		header := []byte(r.Header.Get("Stripe-Signature"))
		target := r.Body
		if inHeader {
			target = header
		}
		if len(target) == 0 || flip == 0 {
			return
		}
		i := position % uint(len(target))
		old := target[i]
		target[i] ^= flip
		if inHeader && strings.EqualFold(string(old), string(target[i])) {
			return // the same hex digit
		}
		r.Header = http.Header{"Stripe-Signature": {string(header)}}
		require.ErrorIs(t, p.Verify(r, providers.Secrets{secret}), providers.ErrUnauthenticated)
	})
}

func FuzzEvents(f *testing.F) {
	for _, body := range []string{snapshot, thin, "", "{}", "null", "[]", `{"object": "event"}`, `{"id": "evt_1", "id": "evt_2"}`, strings.Repeat(`{"data":`, 100)} {
		f.Add([]byte(body))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := p.Events(request(string(body)))
		if err != nil {
			require.ErrorIs(t, err, providers.ErrMalformed)
			require.Empty(t, events)
			return
		}
		require.Len(t, events, 1)
		for _, s := range []string{events[0].ID, events[0].Type} {
			require.Regexp(t, `^[!-~]{1,200}$`, s)
		}
		require.Regexp(t, `^[ -~]{0,200}$`, events[0].Ref.ID)
		require.Equal(t, events[0].Ref.Type == "", events[0].Ref.ID == "")
		require.NotEqual(t, providers.ModeUnknown, events[0].Mode)
		require.False(t, events[0].OccurredAt.IsZero())
	})
}

func BenchmarkVerifyAndEvents(b *testing.B) {
	lines := strings.Repeat(`{"id": "il_1", "amount": 1200, "currency": "usd", "description": "one line"}, `, 21)
	body := strings.Replace(snapshot, `"amount_due": 1200`, `"lines": [`+lines+`{}]`, 1)
	r := request(body)
	r.ReceivedAt = time.Now()
	p, secrets := open(b), providers.Secrets{secret}
	if err := p.Sign(&r, secrets); err != nil {
		b.Fatal(err)
	}
	providertest.Benchmark(b, p, r, secrets)
}
