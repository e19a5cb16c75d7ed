package providers_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestMatchType(t *testing.T) {
	for _, c := range []struct {
		pattern, eventType string
		want               bool
	}{
		{"invoice.paid", "invoice.paid", true},
		{"invoice.paid", "invoice.paid2", false},
		{"invoice.paid", "INVOICE.PAID", false},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoice.", true},
		{"invoice.*", "invoice", false},
		{"invoice.*", "xinvoice.paid", false},
		{"*", "", true},
		{"*", "invoice.paid", true},
		{"**", "invoice.paid", true},
		{"", "", true},
		{"", "invoice.paid", false},
		{"*.deleted", "customer.subscription.deleted", true},
		{"*.deleted", "customer.deleted.x", false},
		{"customer.*.deleted", "customer.subscription.deleted", true},
		{"customer.*.deleted", "customer.deleted", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"*a*b*", "xbxa", false},
		{"*a*b*", "xaxbx", true},
		{"i.voice", "invoice", false},
	} {
		require.Equal(t, c.want, providers.MatchType(c.pattern, c.eventType), "%q on %q", c.pattern, c.eventType)
	}
}

func TestMatchTypeIsFastForPatternsWithManyStars(t *testing.T) {
	start := time.Now()
	require.False(t, providers.MatchType(strings.Repeat("*a", 1000)+"*b", strings.Repeat("a", 10_000)))
	require.Less(t, time.Since(start), time.Second)
}

func FuzzMatchTypeAgreesWithRegexp(f *testing.F) {
	for _, seed := range [][2]string{
		{"invoice.*", "invoice.paid"}, {"*a*b*", "xaxbx"}, {"a**b", "ab"}, {"*.", "."}, {"aa*aa", "aaa"}, {"*ab", "aab"}, {"a*ab*b", "aabb"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, eventType string) {
		parts := strings.Split(pattern, "*")
		for i, p := range parts {
			parts[i] = regexp.QuoteMeta(p)
		}
		re, err := regexp.Compile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
		if err != nil {
			t.Skip("regexp cannot hold this pattern, for it is no UTF-8")
		}
		require.Equal(t, re.MatchString(eventType), providers.MatchType(pattern, eventType))
	})
}
