package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/surehook/surehook/providers"
	"github.com/surehook/surehook/sandbox"
)

const sendHelp = `Send posts a signed event to a source, as its platform would.

With a running ` + "`surehook dev`" + ` the sandbox makes it happen: the object really exists there, so that it can be
fetched. Elsewhere it is made up, signed with the source's first secret, and names an object that the real
platform does not have. With --file the body is yours; where the platform names the type outside of the body, as GitHub
does in X-GitHub-Event, it is the one you give.`

// sendTimeout bounds one request; a webhook is answered within a second.
const sendTimeout = 15 * time.Second

type sendFlags struct {
	file, to, id, object string

	public string // the URL that the source says it has, where that is not the target
}

func sendCommand() *cobra.Command {
	var flags sendFlags
	cmd := &cobra.Command{
		Use:   "send <source> <event type>",
		Short: "Send a signed event, as the platform would",
		Long:  sendHelp,
		Example: `  surehook send stripe invoice.paid
  surehook send stripe invoice.voided --object invoice/in_1   # one that records list shows
  surehook send github issues.opened --object repository/octo-org/hello-world
  surehook send stripe charge.refunded --file event.json --to http://127.0.0.1:8080`,
		Args: arguments(0, "source", "event type"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSend(cmd, args[0], args[1], flags)
		},
	}
	addDataFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.file, "file", "", "send this body instead of a made-up one (- for standard input)")
	f.StringVar(&flags.to, "to", "", "where Surehook listens (default: where this environment's ingress does)")
	f.StringVar(&flags.id, "id", "", "with --file: the event's ID, for platforms that have it outside of the body, such as GitHub")
	f.StringVar(&flags.object, "object", "", "let it happen to this object of the sandbox: <type>/<id>")
	addJSONFlag(cmd)
	return cmd
}

// sent is what became of a send; its JSON names are stable.
type sent struct {
	Source  string        `json:"source"`
	EventID string        `json:"event_id"`
	Type    string        `json:"type"`
	Object  providers.Ref `json:"object"`
	Status  int           `json:"status"` // the HTTP status of the answer, 0 when there was none
	Answer  string        `json:"answer,omitempty"`

	notes []string // what the caller may not have meant
}

func runSend(cmd *cobra.Command, name, typ string, flags sendFlags) error {
	env, cfg, err := operatorConfig(cmd)
	if err != nil {
		return err
	}
	s, err := findSource(cfg.Sources, env, name)
	if err != nil {
		return err
	}
	object, err := flags.check(s, cfg.Sandbox)
	if err != nil {
		return usageError{err}
	}
	target := webhookURL(cfg.Ingress.Listen, name)
	if flags.to != "" {
		target = strings.TrimSuffix(flags.to, "/") + "/webhooks/" + name
	} else {
		flags.public = publicURL(cfg.Ingress.PublicURL, name)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), sendTimeout)
	defer cancel()
	var result sent
	switch {
	case flags.file != "":
		result, err = sendFile(ctx, s, typ, target, flags)
	case cfg.Sandbox != "" && flags.to == "":
		result, err = sendFromSandbox(ctx, s, typ, cfg.Sandbox, object)
	default:
		result, err = sendMadeUp(ctx, s, typ, target, flags.public)
	}
	if err != nil {
		return err
	}
	result.Source = name
	return printSent(cmd, result)
}

func labels(p providers.Provider) bool {
	_, ok := p.(providers.Labeler)
	return ok
}

// check refuses flags that would have no effect.
func (f sendFlags) check(s source, sandboxURL string) (object providers.Ref, err error) {
	switch {
	case f.id != "" && f.file == "":
		return object, errors.New("--id goes with --file: without it the platform chooses the ID")
	case f.id != "" && !labels(s.provider):
		return object, fmt.Errorf("--id has no effect: the ID of an event of %s is in its body", s.Provider)
	case f.object != "" && f.file != "":
		return object, errors.New("--object goes without --file: the body names the object")
	case f.object != "" && (f.to != "" || sandboxURL == ""):
		return object, errors.New("--object names an object of the sandbox, which is used only with a running `surehook dev` and without --to")
	}
	return parseObject(f.object)
}

func findSource(path string, env environment, name string) (source, error) {
	declared, err := loadSources(path, env.Lookup)
	if err != nil {
		return source{}, validate(err)
	}
	return sourceNamed(declared, path, name)
}

func sourceNamed(declared []source, path, name string) (source, error) {
	var names []string
	for _, s := range declared {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return source{}, usageError{fmt.Errorf("source %q is not declared in %s, which has: %s", name, path, strings.Join(names, ", "))}
}

// sendFromSandbox lets it happen in the sandbox of a running `surehook dev`.
func sendFromSandbox(ctx context.Context, s source, typ, sandboxURL string, object providers.Ref) (sent, error) {
	played := sandbox.New(s.Provider, sandbox.PlatformConfig{})
	if played == nil {
		return sent{}, notPlayed(s.Provider)
	}
	body, err := json.Marshal(map[string]any{"type": typ, "object": object})
	if err != nil {
		return sent{}, err
	}
	status, answer, err := post(ctx, http.MethodPost, sandboxURL+"/sandbox/"+s.Provider+"/events", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return sent{}, fmt.Errorf("reach the sandbox: %w (is `surehook dev` running?)", err)
	}
	if status != http.StatusOK {
		return sent{}, refusedBySandbox(status, answer)
	}
	var ev sandbox.Event
	if err := json.Unmarshal(answer, &ev); err != nil {
		return sent{}, fmt.Errorf("read the sandbox's answer: %w", err)
	}
	return sentEvent(ev, played), nil
}

func notPlayed(provider string) error {
	return usageError{fmt.Errorf("nothing can be made up for provider %s: send your own body with --file", provider)}
}

func refusedBySandbox(status int, answer []byte) error {
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &refusal) != nil || refusal.Error == "" {
		refusal.Error = fmt.Sprintf("status %d: %s", status, oneLine(string(answer), 200))
	}
	err := fmt.Errorf("sandbox: %s", refusal.Error)
	switch status {
	case http.StatusNotFound:
		return notFoundError{err}
	case http.StatusBadRequest:
		return usageError{err}
	}
	return err
}

// sendMadeUp sends an event about an object that exists nowhere.
func sendMadeUp(ctx context.Context, s source, typ, target, public string) (sent, error) {
	p := sandbox.New(s.Provider, sandbox.PlatformConfig{
		Provider: s.provider,
		Secrets:  s.Secrets,
		Target:   target,
		Public:   public,
		Livemode: s.Mode == providers.ModeLive,
		Seed:     uint64(time.Now().UnixNano()),
	})
	if p == nil {
		return sent{}, notPlayed(s.Provider)
	}
	defer p.Close()
	ev, err := p.Trigger(ctx, typ)
	if err != nil {
		return sent{}, err
	}
	return sentEvent(ev, p), nil
}

func sentEvent(ev sandbox.Event, p *sandbox.Platform) sent {
	result := sent{EventID: ev.ID, Type: ev.Type, Object: ev.Object}
	if len(ev.Attempts) > 0 {
		last := ev.Attempts[len(ev.Attempts)-1]
		result.Status, result.Answer = last.Status, last.Error
	}
	if !p.Knows(ev.Type) {
		result.notes = append(result.notes, fmt.Sprintf("the sandbox does not know what %s means; it sent one that changed nothing", ev.Type))
	}
	return result
}

// sendFile signs and sends a body as it is.
func sendFile(ctx context.Context, s source, typ, target string, flags sendFlags) (sent, error) {
	body, err := readFile(flags.file)
	if err != nil {
		return sent{}, usageError{err}
	}
	req := providers.Request{
		Method:     http.MethodPost,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       body,
		ReceivedAt: time.Now(),
	}
	result := sent{Type: typ}
	if req.URL, err = url.Parse(cmp.Or(flags.public, target)); err != nil { // some platforms sign it
		return sent{}, usageError{err}
	}
	if l, ok := s.provider.(providers.Labeler); ok {
		result.EventID = cmp.Or(flags.id, uuid.NewString())
		l.Label(&req, result.EventID, typ)
	}
	if err := s.provider.Sign(&req, s.Secrets); err != nil {
		return sent{}, err
	}
	// What the source will read is what we tell: a body may hold another event
	// than its sender thinks.
	if events, err := s.provider.Events(req); err == nil && len(events) > 0 {
		result.read(events[0])
	}
	if target, err = asSigned(target, req); err != nil {
		return sent{}, usageError{err}
	}
	status, answer, err := post(ctx, req.Method, target, req.Header, req.Body)
	if err != nil {
		return sent{}, err
	}
	result.Status, result.Answer = status, strings.TrimSpace(string(answer))
	result.EventID = cmp.Or(acceptedID(answer), result.EventID)
	return result, nil
}

// asSigned is the target with what a signer has added to the URL: a query, or a
// secret at the end of the path.
func asSigned(target string, r providers.Request) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	u.RawQuery = r.URL.RawQuery
	if r.PathToken != "" {
		u = u.JoinPath(url.PathEscape(r.PathToken))
	}
	return u.String(), nil
}

func (s *sent) read(ev providers.Event) {
	if ev.Type != s.Type && !strings.HasPrefix(ev.Type, s.Type+".") {
		s.notes = append(s.notes, fmt.Sprintf("the body is a %s, not the %s that was asked for", ev.Type, s.Type))
	}
	s.EventID, s.Type, s.Object = ev.ID, ev.Type, ev.Ref
}

// acceptedID is the event's ID as the ingress answers it: a body that cannot
// be read has one too.
func acceptedID(answer []byte) string {
	var accepted struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	if json.Unmarshal(answer, &accepted) != nil || len(accepted.Events) == 0 {
		return ""
	}
	return accepted.Events[0].ID
}

func readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func post(ctx context.Context, method, url string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, answer, err
}

// publicURL is a source's URL as its platform knows it.
func publicURL(base, source string) string {
	if base == "" {
		return ""
	}
	return strings.TrimSuffix(base, "/") + "/webhooks/" + source
}

// webhookURL is where a source's webhooks go on this machine.
func webhookURL(listen, source string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/webhooks/" + source
}

func printSent(cmd *cobra.Command, s sent) error {
	if p := newPrinter(cmd); p.json {
		if err := printRows(p, "", []sent{s}, nil); err != nil {
			return err
		}
	} else if err := describeSent(cmd.OutOrStdout(), s, nextFlags(cmd)); err != nil {
		return err
	}
	for _, note := range s.notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
	}
	if s.Status/100 != 2 {
		return errors.New("the event was not acknowledged")
	}
	return nil
}

func describeSent(out io.Writer, s sent, flags string) error {
	status := "no answer"
	if s.Status != 0 {
		status = fmt.Sprintf("%d %s", s.Status, http.StatusText(s.Status))
	}
	fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("sent %s %s: %s %s", s.Source, s.Type, status, s.Answer)))
	if s.Status/100 != 2 {
		_, err := fmt.Fprintf(out, "\nwhy: surehook rejections list --source %s%s\n", s.Source, flags)
		return err
	}
	fmt.Fprintln(out)
	if s.EventID != "" {
		fmt.Fprintf(out, "  surehook events show %s %s%s\n", s.Source, s.EventID, flags)
	}
	if !s.Object.IsZero() {
		fmt.Fprintf(out, "  surehook records show %s %s%s\n", s.Source, s.Object, flags)
	}
	return nil
}
