package outbox

import (
	"strings"
	"unicode"
)

// maxLine is how many characters of a line that others wrote are told.
const maxLine = 120

// line returns a text that others wrote as one line: no line ends, no control characters, and none
// that turn the direction of what follows. It is empty where nobody sees any of it.
func line(text string) string {
	var b strings.Builder
	n, seen := 0, false
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
		seen = seen || isVisible(r)
	}
	if !seen {
		return ""
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// isVisible reports whether a reader sees a character that stands alone. The page asks the same:
// see VISIBLE in web/static/state/wording.js.
func isVisible(r rune) bool {
	return !unicode.In(r, unicode.White_Space, unicode.Cf, unicode.Cc, unicode.Mn) && !strings.ContainsRune("\u115f\u1160\u2800\u3164\uffa0", r)
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
