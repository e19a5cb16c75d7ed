package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// maxEffectBytes bounds the body of one request to the Receiver.
const maxEffectBytes = 1 << 20

// Receiver plays the system that a workflow notifies. It takes POST requests
// with an Idempotency-Key and acts once for each key, as payment APIs do; a
// key that comes again gets the first answer, and with another body 422.
type Receiver struct {
	save func() error

	mu       sync.Mutex
	receipts map[string]*Receipt
	fail     int // requests still to be refused
	status   int // with which status
	lose     int // answers still to be lost
	refused  int
}

// Receipt is what the Receiver knows of one key.
type Receipt struct {
	Key        string          `json:"key"`
	Deliveries int             `json:"deliveries"` // requests that came with it, refused ones included
	Effects    int             `json:"effects"`    // 1 when it was acted on
	Conflicts  int             `json:"conflicts"`  // requests with another body than the first
	Body       json.RawMessage `json:"body,omitempty"`
	Sum        []byte          `json:"sum,omitempty"` // SHA-256 of the body
}

// Totals sums up all keys.
type Totals struct {
	Keys       int `json:"keys"`
	Deliveries int `json:"deliveries"`
	Effects    int `json:"effects"`
	Conflicts  int `json:"conflicts"`
	Refused    int `json:"refused"` // requests answered with an error without an effect
}

// NewReceiver returns a Receiver that has received nothing.
func NewReceiver() *Receiver {
	return &Receiver{save: func() error { return nil }, receipts: map[string]*Receipt{}}
}

// ServeHTTP takes one request.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost || key == "" {
		writeJSON(w, http.StatusBadRequest, fields{"error": "want POST with an Idempotency-Key header"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEffectBytes))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, fields{"error": "unreadable body"})
		return
	}
	status, result, changed := rc.take(key, body)
	if changed {
		if err := rc.save(); err != nil {
			status, result = http.StatusInternalServerError, "not saved"
		}
	}
	writeJSON(w, status, fields{"status": result})
}

// take decides about one request; changed says that there is something to save.
func (rc *Receiver) take(key string, body []byte) (status int, result string, changed bool) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	receipt := rc.receipts[key]
	if receipt == nil {
		receipt = &Receipt{Key: key}
		rc.receipts[key] = receipt
	}
	receipt.Deliveries++
	sum := sha256.Sum256(body)
	switch {
	case rc.fail > 0:
		rc.fail--
		rc.refused++
		return rc.status, "refused", false
	case receipt.Effects > 0 && !bytes.Equal(receipt.Sum, sum[:]):
		receipt.Conflicts++
		return http.StatusUnprocessableEntity, "key was used with another body", true
	case receipt.Effects > 0:
		return http.StatusOK, "received", true
	}
	receipt.Effects, receipt.Sum = 1, sum[:]
	if json.Valid(body) {
		receipt.Body = body
	}
	if rc.lose > 0 {
		rc.lose--
		return http.StatusBadGateway, "the answer was lost", true
	}
	return http.StatusOK, "received", true
}

// FailNext refuses the next n requests with the status, before any effect.
func (rc *Receiver) FailNext(n, status int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.fail, rc.status = n, status
}

// LoseNext answers the next n new requests with 502 although they took effect:
// the case for which callers need the key.
func (rc *Receiver) LoseNext(n int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.lose = n
}

// Receipt returns what is known of a key; it is zero for one that never came.
func (rc *Receiver) Receipt(key string) Receipt {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if receipt := rc.receipts[key]; receipt != nil {
		return *receipt
	}
	return Receipt{Key: key}
}

// Receipts returns all keys, in their order.
func (rc *Receiver) Receipts() []Receipt {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	all := make([]Receipt, 0, len(rc.receipts))
	for _, key := range slices.Sorted(maps.Keys(rc.receipts)) {
		all = append(all, *rc.receipts[key])
	}
	return all
}

// Totals sums up all keys.
func (rc *Receiver) Totals() Totals {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	t := Totals{Keys: len(rc.receipts), Refused: rc.refused}
	for _, r := range rc.receipts {
		t.Deliveries += r.Deliveries
		t.Effects += r.Effects
		t.Conflicts += r.Conflicts
	}
	return t
}

func (rc *Receiver) restore(receipts []Receipt) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, r := range receipts {
		rc.receipts[r.Key] = &r
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := encode(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"unwritable answer"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(cmp.Or(status, http.StatusOK))
	_, _ = w.Write(append(raw, '\n'))
}
