package providertest

import (
	"testing"

	"github.com/surehook/surehook/providers"
)

// Benchmark measures what a provider does with every request before it is
// acknowledged: it verifies it and reads its events.
func Benchmark(b *testing.B, p providers.Provider, r providers.Request, s providers.Secrets) {
	b.Helper()
	b.SetBytes(int64(len(r.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Verify(r, s); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Events(r); err != nil {
			b.Fatal(err)
		}
	}
}
