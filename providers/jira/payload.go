package jira

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// payload is what is read of a webhook's body. Which of the objects are there
// depends on the event. Atlassian documents the body of issue events only; the
// others hold the object under its own name.
type payload struct {
	WebhookEvent string `json:"webhookEvent"`
	Timestamp    number `json:"timestamp"`

	Issue      entity `json:"issue"`
	Comment    entity `json:"comment"`
	Worklog    entity `json:"worklog"`
	Attachment entity `json:"attachment"`
	IssueLink  entity `json:"issueLink"`
	Project    entity `json:"project"`
	Version    entity `json:"version"`
	Sprint     entity `json:"sprint"`
	Board      entity `json:"board"`
}

// entities returns the objects of the body. The link of two issues is not among
// them: it does not call itself by a URL.
func (p *payload) entities() [8]entity {
	return [...]entity{p.Issue, p.Comment, p.Worklog, p.Attachment, p.Project, p.Version, p.Sprint, p.Board}
}

// entity is what names an object. It is empty where an event has something else
// than an object under that name.
type entity struct {
	ID      number `json:"id"`
	IssueID number `json:"issueId"` // of a worklog
	Self    string `json:"self"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (e *entity) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		_, err := dec.ReadValue()
		return err
	}
	type members entity // without this method
	return json.UnmarshalDecode(dec, (*members)(e))
}

// number is the digits of a whole number. Jira writes the ids of issues as texts,
// those of sprints, boards and of a webhook's projects as numbers. It is empty where
// there is something else.
type number string

// maxDigits is the length of the largest 64 bit integer, which Jira's ids are.
const maxDigits = 19

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	kind := dec.PeekKind()
	if kind != jsontext.KindString && kind != jsontext.KindNumber {
		_, err := dec.ReadValue()
		return err
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if text := token.String(); isNumber(text) {
		*n = number(text)
	}
	return nil
}

func isNumber(text string) bool {
	if text == "" || len(text) > maxDigits {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
