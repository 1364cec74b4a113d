package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxText bounds a text that is scrubbed and sent.
const maxText = 1000

// removed are forms of what may be a secret or a person's, in texts of errors. The order counts.
var removed = []struct {
	form *regexp.Regexp
	by   string
}{
	// what is quoted comes from outside: a row's value, a path, a header
	{regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`), `"…"`},
	{regexp.MustCompile(`'(?:[^'\\]|\\.)*'`), `'…'`},
	{regexp.MustCompile("`[^`]*`"), "`…`"},
	{regexp.MustCompile(`\)=\([^)]*\)`), `)=(…)`},
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*)://\S+`), "$1://…"},
	{regexp.MustCompile(`(?i)\b([a-z_-]*(?:passwd|password|secret|token|ticket|cookie|authorization|bearer|apikey|api_key|signature|name))(\s*[=:]\s*)\S+`), "$1$2…"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)[\s.]+\S+`), "$1 …"},
	{regexp.MustCompile(`[^\s@<>()]+@[^\s@<>()]+`), "…@…"},
	{regexp.MustCompile(`\bey[A-Za-z0-9_-]*\.[A-Za-z0-9_.-]+`), "…"},
	{regexp.MustCompile(`\[?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}\]?(?::\d+)?`), "address"},
	{regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?`), "address"},
}

// long finds what may be a key, an id or a ticket; words of the program have neither
// digits nor capitals.
var (
	long   = regexp.MustCompile(`[A-Za-z0-9_+/=-]{16,}`)
	opaque = regexp.MustCompile(`[0-9A-Z]`)
)

// scrub returns a text without what may be a secret or a person's.
func scrub(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	for _, r := range removed {
		text = r.form.ReplaceAllString(text, r.by)
	}
	return long.ReplaceAllStringFunc(text, func(run string) string {
		if opaque.MatchString(run) {
			return "…"
		}
		return run
	})
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }

// closing calls something once a body is closed.
type closing struct {
	io.ReadCloser
	closed func()
}

// Close implements io.Closer.
func (c *closing) Close() error {
	err := c.ReadCloser.Close()
	c.closed()
	return err
}
