package generic

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/surehook/surehook/providers"
)

// maxEcho bounds what is sent back to whoever asks.
const maxEcho = 1024

// handshake answers requests that carry no event.
type handshake struct {
	signed bool
	method string
	when   part
	is     string
	echo   part
	member string
	answer providers.Response
	reader reader
}

func (p *problems) handshakes(s Settings) []handshake {
	var all []handshake
	for i, declared := range s.Handshakes {
		all = append(all, p.handshake(fmt.Sprintf("handshakes[%d]", i), declared, s.Methods))
	}
	return all
}

func (p *problems) handshake(field string, d Handshake, methods []string) handshake {
	places := []string{inJSON, inForm, inQuery, inHeader}
	h := handshake{
		signed: d.Signed,
		method: p.oneOf(field+".method", d.Method, http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPut),
		when:   p.optional(field+".when", d.When, places...),
		is:     d.Is,
		echo:   p.optional(field+".echo", d.Echo, places...),
		member: d.Member,
		answer: p.answer(field+".answer", d.Answer),
	}
	h.reader.want(h.when)
	h.reader.want(h.echo)
	if h.when == nil && (h.method == http.MethodPost || slices.Contains(methods, h.method)) {
		p.add(field+".when", "missing: without it every event would be answered so")
	}
	p.unused("without when", map[string]bool{field + ".is": h.when == nil && h.is != ""})
	p.unused("without echo", map[string]bool{field + ".member": h.echo == nil && h.member != ""})
	p.unused("beside echo", map[string]bool{field + ".answer.body": h.echo != nil && d.Answer.Body != ""})
	h.answer.Status = cmp.Or(h.answer.Status, http.StatusOK)
	if h.answer.ContentType == "" && h.echo != nil {
		h.answer.ContentType = "text/plain; charset=utf-8"
		if h.member != "" {
			h.answer.ContentType = "application/json"
		}
	}
	return h
}

// answer reads a response. It is zero when nothing is declared.
func (p *problems) answer(field string, d Answer) providers.Response {
	if d == (Answer{}) {
		return providers.Response{}
	}
	r := providers.Response{Status: cmp.Or(d.Status, http.StatusOK), ContentType: d.ContentType}
	if r.Status < 200 || r.Status > 299 {
		p.add(field+".status", "%d: want one from 200 to 299", d.Status)
	}
	if d.Body == "" {
		return r
	}
	r.Body = []byte(d.Body)
	if r.ContentType == "" {
		r.ContentType = "text/plain; charset=utf-8"
		if jsontext.Value(r.Body).IsValid() {
			r.ContentType = "application/json"
		}
	}
	return r
}

// Handshake implements providers.Handshaker.
func (p *Provider) Handshake(r providers.Request) (providers.Response, bool) {
	return p.answerFor(r, true)
}

// Probe implements providers.Prober.
func (p *Provider) Probe(r providers.Request) (providers.Response, bool) {
	return p.answerFor(r, false)
}

func (p *Provider) answerFor(r providers.Request, signed bool) (providers.Response, bool) {
	for _, h := range p.handshakes {
		if h.signed != signed || h.method != r.Method {
			continue
		}
		if answer, ok := h.answerTo(r); ok {
			return answer, true
		}
	}
	return providers.Response{}, false
}

func (h *handshake) answerTo(r providers.Request) (providers.Response, bool) {
	values, err := h.reader.read(r)
	if err != nil {
		return providers.Response{}, false
	}
	if h.when != nil {
		text, found, err := values.get(h.when)
		if err != nil || !found || h.is != "" && text != h.is {
			return providers.Response{}, false
		}
	}
	if h.echo == nil {
		return h.answer, true
	}
	text, found, err := values.get(h.echo)
	if err != nil || !found || !canEcho(text) {
		return providers.Response{}, false
	}
	answer := h.answer
	answer.Body, err = h.body(text)
	return answer, err == nil
}

func (h *handshake) body(text string) ([]byte, error) {
	if h.member == "" {
		return []byte(text), nil
	}
	return marshal(map[string]string{h.member: text})
}

// canEcho keeps the answer to a stranger short and harmless.
func canEcho(text string) bool {
	return len(text) <= maxEcho && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
