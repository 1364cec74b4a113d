package xid

import (
	"slices"
	"testing"
)

// FuzzParse reads anything as a snapshot: it never panics, and what it accepts holds all
// of the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", ":", "::", "10:20:", "10:20:10,14,15", "10:20:10,", "10:20:,", "18446744073709551615:18446744073709551615:", "a:b:c:d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || again.Upper != s.Upper || !slices.Equal(again.Open, s.Open) {
			t.Errorf("%q is read as %v, which is read again as %v, %v", text, s, again, err)
		}
		if !slices.IsSorted(s.Open) || len(s.Open) > 0 && s.Open[len(s.Open)-1] >= s.Upper {
			t.Errorf("%q is read as %v, which is no snapshot", text, s)
		}
	})
}
