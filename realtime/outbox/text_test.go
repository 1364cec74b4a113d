package outbox

import (
	"strings"
	"testing"
)

// TestLine writes what others wrote as one line.
func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Caio Brandão": "Caio Brandão", "a\r\nBcc: x": "a Bcc: x", "\x00\x1b[31mred\x7f": "[31mred", "a\u202etxt.exe": "atxt.exe", "a\u2028b\u0085c": "a b c", "  ": "", "\u200d\u3164": "", "\u0301\u2800": "", "e\u0301": "e\u0301", "👩\u200d✈": "👩\u200d✈", "\xff": "",
	} {
		if got := line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := []rune(line(strings.Repeat("é", 10_000))); len(got) != maxLine+1 {
		t.Errorf("a long line has %d characters", len(got))
	}
}
