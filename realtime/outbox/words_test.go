package outbox

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestLanguagesMayBeChosen: the column in which a user's language is kept takes each, and
// openapi.yaml says so.
func TestLanguagesMayBeChosen(t *testing.T) {
	t.Parallel()
	migrations, err := filepath.Glob("../../db/migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	taken := ""
	for _, file := range migrations { // in their order
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "+goose Down")
		if found := regexp.MustCompile(`lang IN \(([^)]*)\)`).FindStringSubmatch(up); found != nil {
			taken = found[1]
		}
	}
	if want := "'" + strings.Join(Languages, "', '") + "'"; taken != want {
		t.Errorf("realtime.user_settings takes the languages %s, and mail has %s: add a migration", taken, want)
	}
	description, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "enum: [" + strings.Join(Languages, ", ") + "]"; !strings.Contains(string(description), want) {
		t.Errorf("openapi.yaml does not say %s", want)
	}
}

// TestLanguages compares the languages with each other and with the kinds that there are.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range Languages {
		w := catalogues[language]
		if w == nil || w.language != language {
			t.Fatalf("there are no words in %s", language)
		}
		for _, known := range db.NotificationKinds {
			kind := known.Name
			one, several := w.title(kind, 1), w.title(kind, 5)
			if strings.Contains(one, "_") || one == "" || strings.Contains(one+several, "%") || one == strings.ReplaceAll(kind, "_", " ") {
				t.Errorf("%s in %s: %q, %q", kind, language, one, several)
			}
		}
		for _, text := range []string{w.hello, w.digestTitle, w.open, w.unsubscribe, w.why, w.whyLocked, w.testTitle, w.testBody, w.more, w.between, w.decimals} {
			if text == "" {
				t.Errorf("something is not said in %s", language)
			}
		}
	}
	if got := wordsOf("fr").title("a_newer_kind", 1); got != "a newer kind" {
		t.Errorf("a kind that is not known is called %q", got)
	}
}

func TestDaysAndMoney(t *testing.T) {
	t.Parallel()
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	w := wordsOf("pt-BR")
	for _, c := range []struct{ from, to, want string }{
		{"2026-03-12", "2026-03-15", "12 a 15 mar"}, {"2026-03-30", "2026-04-02", "30 mar a 2 abr"}, {"2026-12-30", "2027-01-02", "30 dez a 2 jan"}, {"2026-03-12", "2026-03-12", "12 mar"},
	} {
		if got := w.days(day(c.from), day(c.to)); got != c.want {
			t.Errorf("%s to %s: %q", c.from, c.to, got)
		}
	}
	if got := w.days(time.Time{}, time.Time{}) + w.days(day("2026-03-12"), time.Time{}); got != "12 mar" {
		t.Errorf("without an end: %q", got)
	}
	for amount, want := range map[string]string{"660.00": "R$ 660,00", "1234567.5": "R$ 1.234.567,50", "-12.30": "-R$ 12,30", "NaN": "", "": "", "1000": "R$ 1.000,00"} {
		if got := w.money(amount); got != want {
			t.Errorf("%s: %q, want %q", amount, got, want)
		}
	}
}

// TestLine writes what others wrote as one line.
func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Caio Brandão": "Caio Brandão", "a\r\nBcc: x": "a Bcc: x", "\x00\x1b[31mred\x7f": "[31mred", "a\u202etxt.exe": "atxt.exe", "a\u2028b\u0085c": "a b c", "  ": "", "\xff": "",
	} {
		if got := line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := []rune(line(strings.Repeat("é", 10_000))); len(got) != maxLine+1 {
		t.Errorf("a long line has %d characters", len(got))
	}
}
