package outbox

import (
	"strings"
	"unicode"
)

// maxLine is how many characters of a line that others wrote are told.
const maxLine = 120

// line returns a text that others wrote as one line: no line ends, no control characters, and none
// that turn the direction of what follows.
func line(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar:
			r = ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d':
			continue
		}
		if n++; n > maxLine {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// joined joins parts that are not empty.
func joined(parts ...string) string {
	var list []string
	for _, part := range parts {
		if part != "" {
			list = append(list, part)
		}
	}
	return strings.Join(list, " · ")
}
