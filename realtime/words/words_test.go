package words

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestLanguagesMayBeChosen: openapi.yaml says which languages there are, and the page has each.
func TestLanguagesMayBeChosen(t *testing.T) {
	t.Parallel()
	description, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n    Language:\n      type: string\n      enum: [" + strings.Join(Languages(), ", ") + "]\n"; !strings.Contains(string(description), want) {
		t.Errorf("the schema Language of openapi.yaml does not say enum: [%s]", strings.Join(Languages(), ", "))
	}
	files, err := filepath.Glob("../../web/static/words/*.js")
	if err != nil {
		t.Fatal(err)
	}
	page := []string{"pt-BR"}
	for _, file := range files {
		page = append(page, strings.TrimSuffix(filepath.Base(file), ".js"))
	}
	if own := slices.Sorted(slices.Values(Languages())); !slices.Equal(own, slices.Sorted(slices.Values(page))) {
		t.Errorf("the server has the languages %q, and the page %q (web/static/words)", own, page)
	}
}

// TestLanguages compares the languages with the kinds that there are; each has every word.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range Languages() {
		w := Of(language)
		for _, known := range db.NotificationKinds {
			kind := known.Name
			one, several := w.Title(kind, 1), w.Title(kind, 5)
			if strings.Contains(one, "_") || one == "" || strings.Contains(one+several, "%") || one == strings.ReplaceAll(kind, "_", " ") {
				t.Errorf("%s in %s: %q, %q", kind, language, one, several)
			}
		}
		if name := missing(reflect.ValueOf(*w)); name != "" {
			t.Errorf("%s is not said in %s", name, language)
		}
		if strings.Contains(w.DigestOfOne, "%") || w.DigestOfOne == fmt.Sprintf(w.DigestTitle, 1) {
			t.Errorf("a digest of one is called %q in %s", w.DigestOfOne, language)
		}
		for _, text := range []string{w.More, w.DigestTitle} {
			if strings.Count(text, "%d") != 1 {
				t.Errorf("%q in %s has no place for a count", text, language)
			}
		}
	}
	if got := Of("xx").Title("a_newer_kind", 1); got != "a newer kind" {
		t.Errorf("a kind that is not known is called %q", got)
	}
}

// missing returns the name of a field that holds no text, of a structure and those within it.
func missing(words reflect.Value) string {
	for i := range words.NumField() {
		field, name := words.Field(i), words.Type().Field(i).Name
		switch field.Kind() {
		case reflect.Struct:
			if inner := missing(field); inner != "" {
				return name + "." + inner
			}
		case reflect.Array:
			for j := range field.Len() {
				if field.Index(j).IsZero() {
					return name
				}
			}
		default:
			if field.IsZero() {
				return name
			}
		}
	}
	return ""
}

// TestAccepted: of what a browser asks for, the first language that there is.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"": "pt-BR", "xx, es-AR;q=0.8, en;q=0.5": "es", "EN-gb": "en", "x, *": "pt-BR", "pt-PT,en": "pt-BR"} {
		if got := Accepted(header).Language; got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
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
	w := Of("pt-BR")
	for _, c := range []struct{ from, to, want string }{
		{"2026-03-12", "2026-03-15", "12 a 15 mar"}, {"2026-03-30", "2026-04-02", "30 mar a 2 abr"}, {"2026-12-30", "2027-01-02", "30 dez a 2 jan"}, {"2026-03-12", "2026-03-12", "12 mar"},
	} {
		if got := w.Days(day(c.from), day(c.to)); got != c.want {
			t.Errorf("%s to %s: %q", c.from, c.to, got)
		}
	}
	if got := w.Days(time.Time{}, day("2026-03-12")) + w.Days(day("2026-03-12"), day("2026-03-11")); got != "" {
		t.Errorf("without a beginning, or with an end before it: %q", got)
	}
	if got := w.Days(time.Time{}, time.Time{}) + w.Days(day("2026-03-12"), time.Time{}); got != "12 mar" {
		t.Errorf("without an end: %q", got)
	}
	for amount, want := range map[string]string{"660.00": "R$ 660,00", "1234567.5": "R$ 1.234.567,50", "-12.30": "-R$ 12,30", "NaN": "", "": "", "1000": "R$ 1.000,00"} {
		if got := w.Money(amount); got != want {
			t.Errorf("%s: %q, want %q", amount, got, want)
		}
	}
}
