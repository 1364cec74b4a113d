package handlers

import (
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestMAC(t *testing.T) {
	t.Parallel()
	mac := NewMAC([]byte(strings.Repeat("s", 32)))
	for _, parts := range [][]string{{"a"}, {"", ""}, {"a.b", "\x00", "é"}} {
		text := mac.sign("purpose", parts...)
		if got, ok := mac.verify("purpose", text); !ok || !slices.Equal(got, parts) {
			t.Errorf("%q opens as %q, %t", parts, got, ok)
		}
		for what, opened := range map[string]func() ([]string, bool){
			"another purpose": func() ([]string, bool) { return mac.verify("other", text) },
			"another secret":  func() ([]string, bool) { return NewMAC([]byte(strings.Repeat("t", 32))).verify("purpose", text) },
			"no secret":       func() ([]string, bool) { return NewMAC(nil).verify("purpose", text) },
			"cut":             func() ([]string, bool) { return mac.verify("purpose", text[:len(text)-1]) },
			"the sum alone":   func() ([]string, bool) { return mac.verify("purpose", text[strings.LastIndexByte(text, '.')+1:]) },
			"nothing":         func() ([]string, bool) { return mac.verify("purpose", "") },
		} {
			if got, ok := opened(); ok {
				t.Errorf("%q opens with %s as %q", parts, what, got)
			}
		}
	}
	if text := NewMAC(nil).sign("purpose", "a"); func() bool { _, ok := NewMAC(nil).verify("purpose", text); return ok }() {
		t.Error("what was signed without a secret is ours")
	}
}

// TestPasswordsTakeTheSameWork adds up what a check takes: a cost is twice the one before it.
func TestPasswordsTakeTheSameWork(t *testing.T) {
	t.Parallel()
	for want := bcrypt.MinCost; want <= 14; want++ {
		for have := range want + 1 {
			if have != 0 && have < bcrypt.MinCost {
				continue
			}
			work := 0.0
			if have > 0 {
				work = math.Exp2(float64(have))
			}
			for _, cost := range extraCosts(have, want) {
				work += math.Exp2(float64(cost))
			}
			if work != math.Exp2(float64(want)) {
				t.Errorf("a hash of cost %d takes %f, want that of cost %d", have, work, want)
			}
		}
	}
	if costs := extraCosts(0, 0); !slices.Equal(costs, []int{bcrypt.DefaultCost}) {
		t.Errorf("where nobody has a password: %d", costs)
	}
}
