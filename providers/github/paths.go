package github

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/surehook/surehook/providers"
)

// apiPaths lists the kinds of object that GitHub's REST API returns: the type
// of their refs, and the path below /repos/{owner}/{repo}. A ref's id is that
// path, owner and repository included, so that whoever reads it can open it.
// Any type that is not listed here is not fetchable.
//
// A name in braces stands for a member of the payload: of the event's object,
// or, with a dot, of the payload as a whole. Its last part says what it may
// hold, see shapes.
var apiPaths = map[string]string{
	"check_run":                   "check-runs/{id}",
	"check_suite":                 "check-suites/{id}",
	"code_scanning_alert":         "code-scanning/alerts/{number}",
	"collaborator":                "collaborators/{login}/permission",
	"commit":                      "commits/{sha}",
	"commit_comment":              "comments/{id}",
	"commit_status":               "commits/{sha}/status",
	"dependabot_alert":            "dependabot/alerts/{number}",
	"deploy_key":                  "keys/{id}",
	"deployment":                  "deployments/{id}",
	"deployment_status":           "deployments/{deployment.id}/statuses/{id}",
	"issue":                       "issues/{number}",
	"issue_comment":               "issues/comments/{id}",
	"label":                       "labels/{name}",
	"milestone":                   "milestones/{number}",
	"page_build":                  "pages/builds/{id}",
	"pull_request":                "pulls/{number}",
	"pull_request_review":         "pulls/{pull_request.number}/reviews/{id}",
	"pull_request_review_comment": "pulls/comments/{id}",
	"ref":                         "git/ref/{ref}",
	"release":                     "releases/{id}",
	"repository":                  "",
	"repository_advisory":         "security-advisories/{ghsa_id}",
	"ruleset":                     "rulesets/{id}",
	"workflow_job":                "actions/jobs/{id}",
	"workflow_run":                "actions/runs/{id}",
}

// shapes says what may stand for a name in an API path. Together with the
// escaping this keeps a ref from leading anywhere but to its object.
var shapes = map[string]*regexp.Regexp{
	"owner":   regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_-]{0,63}$`),
	"repo":    regexp.MustCompile(`^[0-9A-Za-z_.-]{1,100}$`),
	"id":      regexp.MustCompile(`^[0-9]{1,20}$`),
	"number":  regexp.MustCompile(`^[0-9]{1,20}$`),
	"sha":     regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`),
	"login":   regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}(\[bot\])?$`),
	"ghsa_id": regexp.MustCompile(`^GHSA(-[0-9a-z]{4}){3}$`),
	"name":    regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,255}$`),
	// One part of a branch's or tag's name. Git forbids a leading dot itself.
	"ref": regexp.MustCompile(`^[^\x00-\x20\x7f./][^\x00-\x20\x7f/]{0,254}$`),
}

// manyParts is the one name that stands for several parts of a path.
const manyParts = "ref"

var errBadPart = errors.New("a part that does not fit into an API path")

// escapePart returns one part of an API path, or an error when it must not
// stand there.
func escapePart(shape, part string) (string, error) {
	if !shapes[shape].MatchString(part) || part == "." || part == ".." {
		return "", errBadPart
	}
	return url.PathEscape(part), nil
}

// escapeRepository does it for "owner/repo".
func escapeRepository(fullName string) (string, error) {
	owner, repo, _ := strings.Cut(fullName, "/")
	owner, ownerErr := escapePart("owner", owner)
	repo, repoErr := escapePart("repo", repo)
	return owner + "/" + repo, errors.Join(ownerErr, repoErr)
}

// shapeOf returns the shape that a name in braces asks for, and what stands in
// the braces. Both are empty for a part that stands for itself.
func shapeOf(part string) (shape, member string) {
	member, ok := strings.CutPrefix(part, "{")
	if !ok {
		return "", ""
	}
	member = strings.TrimSuffix(member, "}")
	return member[strings.LastIndex(member, ".")+1:], member
}

// fillPath puts the members of a payload into the path of a kind.
func fillPath(path, repository string, lookup func(member string) string) (string, error) {
	full, err := escapeRepository(repository)
	if err != nil || path == "" {
		return full, err
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		shape, member := shapeOf(part)
		if shape == "" {
			continue
		}
		if parts[i], err = escapeParts(shape, lookup(member)); err != nil {
			return "", err
		}
	}
	return full + "/" + strings.Join(parts, "/"), nil
}

func escapeParts(shape, text string) (string, error) {
	if shape != manyParts {
		return escapePart(shape, text)
	}
	var escaped []string
	for part := range strings.SplitSeq(text, "/") {
		part, err := escapePart(shape, part)
		if err != nil {
			return "", err
		}
		escaped = append(escaped, part)
	}
	return strings.Join(escaped, "/"), nil
}

// checkPath returns the ref's id as an API path if it is one of its kind. It
// takes nothing for granted: a ref may come from an operator's keyboard.
func checkPath(path, id string) (string, bool) {
	parts := strings.Split(id, "/")
	want := []string{"{owner}", "{repo}"}
	if path != "" {
		want = append(want, strings.Split(path, "/")...)
	}
	if last := len(want) - 1; want[last] == "{"+manyParts+"}" {
		for len(want) < len(parts) {
			want = append(want, want[last])
		}
	}
	if len(id) > providers.MaxName || len(parts) != len(want) {
		return "", false
	}
	for i, part := range parts {
		if !fitsPart(want[i], part) {
			return "", false
		}
	}
	return id, true
}

// fitsPart reports whether an escaped part is what escapePart makes of it.
func fitsPart(want, part string) bool {
	shape, _ := shapeOf(want)
	if shape == "" {
		return part == want
	}
	plain, err := url.PathUnescape(part)
	if err != nil {
		return false
	}
	escaped, err := escapePart(shape, plain)
	return err == nil && escaped == part
}

// bounded returns the id, or, where it is too long, one made of the repository
// and a hash. That is the path of no kind, so the object counts as not
// fetchable; it happens to very long names of branches and labels.
func bounded(repository, id string) string {
	if len(id) <= providers.MaxName {
		return id
	}
	hash := sha256.Sum256([]byte(id))
	return strings.TrimPrefix(repository+"/", "/") + hex.EncodeToString(hash[:16])
}
