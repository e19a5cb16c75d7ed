package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
platform does not have. With --file the body is yours; for GitHub the type names its X-GitHub-Event.`

// sendTimeout bounds one request; a webhook is answered within a second.
const sendTimeout = 15 * time.Second

type sendFlags struct {
	file, to, id, object string
}

func sendCommand() *cobra.Command {
	var flags sendFlags
	cmd := &cobra.Command{
		Use:   "send <source> <event type>",
		Short: "Send a signed event, as the platform would",
		Long:  sendHelp,
		Example: `  surehook send stripe invoice.paid
  surehook send github pull_request.closed --object pull_request/octocat/hello/pulls/1
  surehook send stripe charge.refunded --file event.json --to http://127.0.0.1:8080`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSend(cmd, args[0], args[1], flags)
		},
	}
	addDataFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.file, "file", "", "send this body instead of a made-up one (- for standard input)")
	f.StringVar(&flags.to, "to", "", "where Surehook listens (default: where this environment's ingress does)")
	f.StringVar(&flags.id, "id", "", "with --file, for GitHub: the delivery's ID")
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
	target := webhookURL(cfg.Ingress.Listen, name)
	if flags.to != "" {
		target = strings.TrimSuffix(flags.to, "/") + "/webhooks/" + name
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), sendTimeout)
	defer cancel()
	var result sent
	switch {
	case flags.file != "":
		result, err = sendFile(ctx, s, typ, target, flags)
	case cfg.Sandbox != "" && flags.to == "":
		result, err = sendFromSandbox(ctx, s, typ, cfg.Sandbox, parseObject(flags.object))
	default:
		result, err = sendMadeUp(ctx, s, typ, target)
	}
	if err != nil {
		return err
	}
	result.Source = name
	return printSent(cmd, result)
}

func findSource(path string, env environment, name string) (source, error) {
	declared, err := loadSources(path, env.Lookup)
	if err != nil {
		return source{}, validate(err)
	}
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
	body, err := json.Marshal(map[string]any{"type": typ, "object": object})
	if err != nil {
		return sent{}, err
	}
	status, answer, err := post(ctx, sandboxURL+"/sandbox/"+s.Provider+"/events", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return sent{}, fmt.Errorf("reach the sandbox: %w (is `surehook dev` running?)", err)
	}
	if status != http.StatusOK {
		return sent{}, fmt.Errorf("sandbox: %s", strings.TrimSpace(string(answer)))
	}
	var ev sandbox.Event
	if err := json.Unmarshal(answer, &ev); err != nil {
		return sent{}, fmt.Errorf("read the sandbox's answer: %w", err)
	}
	return sentEvent(ev)
}

// sendMadeUp sends an event about an object that exists nowhere.
func sendMadeUp(ctx context.Context, s source, typ, target string) (sent, error) {
	cfg := sandbox.PlatformConfig{
		Provider: s.provider,
		Secrets:  s.Secrets,
		Target:   target,
		Livemode: s.Mode == providers.ModeLive,
		Seed:     uint64(time.Now().UnixNano()),
	}
	var p *sandbox.Platform
	switch s.Provider {
	case "stripe":
		p = sandbox.NewStripe(cfg)
	case "github":
		p = sandbox.NewGitHub(cfg)
	default:
		return sent{}, usageError{fmt.Errorf("nothing can be made up for provider %s: send your own body with --file", s.Provider)}
	}
	defer p.Close()
	ev, err := p.Trigger(ctx, typ)
	if err != nil {
		return sent{}, err
	}
	return sentEvent(ev)
}

func sentEvent(ev sandbox.Event) (sent, error) {
	result := sent{EventID: ev.ID, Type: ev.Type, Object: ev.Object}
	if len(ev.Attempts) > 0 {
		last := ev.Attempts[len(ev.Attempts)-1]
		result.Status, result.Answer = last.Status, last.Error
	}
	return result, nil
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
	if s.Provider == "github" {
		result.EventID = flags.id
		if result.EventID == "" {
			result.EventID = uuid.NewString()
		}
		event, _, _ := strings.Cut(typ, ".")
		req.Header.Set("X-GitHub-Event", event)
		req.Header.Set("X-GitHub-Delivery", result.EventID)
	}
	if err := s.provider.Sign(&req, s.Secrets); err != nil {
		return sent{}, err
	}
	// What the source will read is what we tell: a body may hold another event
	// than its sender thinks.
	if events, err := s.provider.Events(req); err == nil && len(events) > 0 {
		result.EventID, result.Type, result.Object = events[0].ID, events[0].Type, events[0].Ref
	}
	status, answer, err := post(ctx, target, req.Header, body)
	if err != nil {
		return sent{}, err
	}
	result.Status, result.Answer = status, strings.TrimSpace(string(answer))
	return result, nil
}

func readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func post(ctx context.Context, url string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
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
	} else if err := describeSent(cmd.OutOrStdout(), s); err != nil {
		return err
	}
	if s.Status/100 != 2 {
		return errors.New("the event was not acknowledged")
	}
	return nil
}

func describeSent(out io.Writer, s sent) error {
	status := "no answer"
	if s.Status != 0 {
		status = fmt.Sprintf("%d %s", s.Status, http.StatusText(s.Status))
	}
	fmt.Fprintf(out, "sent %s %s: %s %s\n", s.Source, s.Type, status, s.Answer)
	if s.Status/100 != 2 {
		_, err := fmt.Fprintf(out, "\nwhy: surehook rejections list --source %s\n", s.Source)
		return err
	}
	fmt.Fprintf(out, "\n  surehook events show %s %s\n", s.Source, s.EventID)
	if !s.Object.IsZero() {
		fmt.Fprintf(out, "  surehook records show %s %s %s\n", s.Source, s.Object.Type, s.Object.ID)
	}
	return nil
}
