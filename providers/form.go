package providers

import (
	"fmt"
	"mime"
	"net/url"
)

// IsForm reports whether the request says that its body is a form. No platform
// signs that, so nothing may depend on it that the body does not show as well.
func (r Request) IsForm() bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// ReadForm reads a form whose names must occur once each: of two values, two
// parsers would take different ones. The error wraps ErrMalformed and holds
// nothing of the body.
func ReadForm(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: unreadable form", ErrMalformed) // the parser's error quotes the body
	}
	form := make(map[string]string, len(values))
	for name, all := range values {
		if len(all) != 1 {
			return nil, fmt.Errorf("%w: a name occurs twice in the form", ErrMalformed)
		}
		form[name] = all[0]
	}
	return form, nil
}
