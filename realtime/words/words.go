// Package words is all that the server says to users in their language: titles of notifications,
// what stands around a mail, the page that a mail leads to. A language is a file here and its line
// in catalogues; tests name what else it needs. What the page says is in web/static/words. It does
// not know what is told of, nor to whom.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Words are all that is said in one language. A test wants each in each.
type Words struct {
	Language string
	// Kinds are titles by kind: of one, and of several, with %d.
	Kinds map[string][2]string
	// Months are the short names, January first, and Between joins two days.
	Months   [12]string
	Between  string
	Decimals string // the decimal sign, then that of thousands
	// More says how many more there are, with %d.
	More string
	// Hello to WhyLocked are of mails.
	Hello, DigestTitle, DigestOfOne, Open, Unsubscribe, Why, WhyLocked string
	// TestTitle and TestBody are of a test.
	TestTitle, TestBody string
	Page                Page
}

// Page is what the page says to which a mail leads, so that there are no more of them.
type Page struct{ Title, Ask, All, Done string }

// catalogues are the languages that there are, the first one by default.
var catalogues = []*Words{&portuguese, &english, &spanish}

// Languages returns the names of those that there are, the first one by default.
func Languages() (names []string) {
	for _, w := range catalogues {
		names = append(names, w.Language)
	}
	return names
}

// Of returns the words of a language, those of the first one where it is none of ours.
func Of(language string) *Words {
	for _, w := range catalogues {
		if w.Language == language {
			return w
		}
	}
	return catalogues[0]
}

// Accepted returns the words of the first language in a header Accept-Language that there is.
func Accepted(header string) *Words {
	for part := range strings.SplitSeq(header, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		for _, w := range catalogues {
			if len(tag) >= 2 && strings.EqualFold(tag[:2], w.Language[:2]) {
				return w
			}
		}
	}
	return catalogues[0]
}

// Title returns what a kind is called. A kind that is not known here is told by its name: a newer
// server made it.
func (w *Words) Title(kind string, count int) string {
	forms, known := w.Kinds[kind]
	switch {
	case !known:
		return strings.ReplaceAll(kind, "_", " ")
	case count > 1 && strings.Contains(forms[1], "%d"):
		return fmt.Sprintf(forms[1], count)
	case count > 1:
		return forms[1]
	}
	return forms[0]
}

// Days writes the days of a stay: "12 a 15 mar", "30 mar a 2 abr", "12 mar"; nothing of one that
// ends before it begins.
func (w *Words) Days(from, to time.Time) string {
	day := func(at time.Time, withMonth bool) string {
		text := strconv.Itoa(at.Day())
		if withMonth {
			text += " " + w.Months[at.Month()-1]
		}
		return text
	}
	switch {
	case from.IsZero(), !to.IsZero() && to.Format(time.DateOnly) < from.Format(time.DateOnly):
		return ""
	case to.IsZero() || from.Format(time.DateOnly) == to.Format(time.DateOnly):
		return day(from, true)
	}
	return day(from, from.Month() != to.Month() || from.Year() != to.Year()) + w.Between + day(to, true)
}

// Money writes an amount in BRL with two decimals, as PostgreSQL does: R$ 1.234,50.
func (w *Words) Money(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	sign := ""
	if rest, negative := strings.CutPrefix(whole, "-"); negative {
		sign, whole = "-", rest
	}
	if whole == "" || strings.ContainsFunc(whole+cents, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + w.Decimals[1:] + whole[i:]
	}
	return sign + "R$ " + whole + w.Decimals[:1] + (cents + "00")[:2]
}
