package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// mandrillInfo is the call that tells of one message.
const mandrillInfo = "/1.0/messages/info.json"

const mandrillMedia = "application/json; charset=utf-8"

// mandrillPath is where the sandbox has a message: the call and whom it asks for.
func mandrillPath(id string) string { return mandrillInfo + "/" + id }

// mandrillCall is the body of a call.
type mandrillCall struct {
	Key string `json:"key"`
	ID  string `json:"id"`
}

// readMandrillCall reads the body and puts it back for the next reader.
func readMandrillCall(r *http.Request) mandrillCall {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	var call mandrillCall
	if err != nil || json.Unmarshal(body, &call) != nil {
		return mandrillCall{}
	}
	return call
}

// locate implements locator: all messages have one path, and their ID is in the body.
func (mandrill) locate(r *http.Request) string {
	id := readMandrillCall(r).ID
	if r.URL.Path != mandrillInfo || r.Method != http.MethodPost || id == "" || strings.Contains(id, "/") {
		return r.URL.Path
	}
	return mandrillPath(id)
}

func (mandrill) faultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultHang, FaultError, FaultTruncate}
}

// mandrillError answers with the one status that Mandrill has for its errors.
func mandrillError(name, message string) *answer {
	return jsonAnswer(http.StatusInternalServerError, mandrillMedia, fields{"status": "error", "code": -1, "name": name, "message": message})
}

func (mandrill) refuse(r *http.Request, key string) *answer {
	switch given := readMandrillCall(r).Key; {
	case given == key && key != "":
		return nil
	case given == "":
		return mandrillError("ValidationError", "You must specify a key value")
	default:
		return mandrillError("Invalid_Key", "Invalid API key")
	}
}

func (mandrill) object(r *http.Request, o *Object) *answer {
	switch {
	case r.URL.Path != mandrillInfo || r.Method != http.MethodPost:
		return &answer{status: http.StatusNotFound, body: []byte("Not Found"), header: http.Header{"Content-Type": {"text/plain"}}}
	case o == nil || o.Deleted:
		return mandrillError("Unknown_Message", "No message exists with the id you gave")
	}
	return stateAnswer(mandrillMedia, o)
}

func (mandrill) fault(f APIFault, _ time.Time) *answer {
	a := mandrillError(cmp.Or(f.Reason, "GeneralError"), "An unexpected error occurred processing the request.")
	a.status = orDefault(f.Status, a.status)
	addRetryAfter(a.header, f)
	return a
}

func (mandrill) sign(h http.Header, _ callInfo) { h.Set("Server", "nginx") }
