package handlers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	ical "github.com/arran4/golang-ical"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// feedCase is an event as both parsers have to read it.
type feedCase struct {
	UID     string `json:"uid"`
	Summary string `json:"summary"`
	Start   string `json:"start"`
	End     string `json:"end"`
	Status  string `json:"status"`
}

// awkward are guests whose names break calendars. They have ends of lines and what some readers
// take for one, what has a meaning in a line, and what turns the direction of a text round. They
// have characters of several bytes and escapes where a line is folded, and ten thousand characters.
var awkward = map[string]string{
	"Ana\rEND:VEVENT\r\nBEGIN:VALARM":               "Ana END:VEVENT  BEGIN:VALARM",
	"Bia; Luz, \\ Melo":                             "Bia; Luz, \\ Melo",
	strings.Repeat("a", 64) + "😀 fim":               strings.Repeat("a", 64) + "😀 fim",
	strings.Repeat("b", 65) + ";,\\ fim":            strings.Repeat("b", 65) + ";,\\ fim",
	strings.Repeat("c", 66) + "\\n\\N fim":          strings.Repeat("c", 66) + "\\n\\N fim",
	"Caio\u202e\u2066 Melo\u0000\u0085\u001b":       "Caio Melo",
	"Duda\u2028X-EVIL:1\u2029Y\u0085Z\x0bW\x0c":     "Duda X-EVIL:1 YZW",
	strings.Repeat("🛩", 10_000):                     strings.Repeat("🛩", 200),
	"<script>alert(1)</script> \"José\" \xff da Sé": "<script>alert(1)</script> \"José\"  da Sé",
	"   ": "Ocupado",
}

// awkwardFeed is a feed of them, with what has to be read from it.
func awkwardFeed(dates bool) (db.FeedContent, []feedCase) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		panic(err)
	}
	content := db.FeedContent{Installation: "4bd0f9c8-52a5-4a37-9d5c-2f8de27b0a11", Dates: dates}
	var cases []feedCase
	at := time.Date(2018, 11, 3, 14, 30, 0, 0, zone)
	for _, name := range sortedKeys(awkward) {
		id := string(rune('a' + len(cases)))
		stay := db.FeedStay{BookingID: id, HangarNumber: "H-12", GuestName: name, Pending: len(cases)%3 == 1, CheckIn: at, CheckOut: at.Add(40 * time.Hour),
			Created: at.Add(-time.Hour), Changed: at.Add(time.Minute)}
		wanted := feedCase{"booking-" + id + "@" + content.Installation, cleanText(awkward[name] + " · H-12"), stay.CheckIn.UTC().Format("20060102T150405Z"),
			stay.CheckOut.UTC().Format("20060102T150405Z"), "CONFIRMED"}
		if stay.Pending {
			wanted.Status = "TENTATIVE"
		}
		if dates {
			// That day begins at 01:00.
			stay.CheckIn, stay.CheckOut = time.Date(2018, 11, 3, 0, 0, 0, 0, zone), time.Date(2018, 11, 4, 1, 0, 0, 0, zone)
			wanted.Start, wanted.End = "20181103", "20181104"
		}
		content.Stays, cases = append(content.Stays, stay), append(cases, wanted)
		at = at.AddDate(0, 0, 2)
	}
	return content, cases
}

func sortedKeys(m map[string]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// TestFeedIsReadByTheLibrary reads feeds by the library that wrote them. The other parser, ical.js,
// reads the same text in web/test/unit/feed.test.js: the fixtures are what is written here.
func TestFeedIsReadByTheLibrary(t *testing.T) {
	t.Parallel()
	zone, _ := time.LoadLocation("America/Sao_Paulo")
	for name, dates := range map[string]bool{"feed-instants": false, "feed-dates": true} {
		content, wanted := awkwardFeed(dates)
		text := encodeFeed(db.Feed{Label: "Todos\r\nX-EVIL:1 os hangares", Detail: db.FeedFull}, content, zone, "https://portal.example/b/{id}")
		holdsLines(t, string(text))
		calendar, err := ical.ParseCalendar(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		var read []feedCase
		for _, e := range calendar.Events() {
			value := func(p ical.ComponentProperty) string {
				if found := e.GetProperty(p); found != nil {
					return found.Value
				}
				return ""
			}
			read = append(read, feedCase{value(ical.ComponentPropertyUniqueId), value(ical.ComponentPropertySummary), value(ical.ComponentPropertyDtStart),
				value(ical.ComponentPropertyDtEnd), value(ical.ComponentPropertyStatus)})
			if value(ical.ComponentPropertyDtstamp) != value(ical.ComponentPropertyLastModified) || value(ical.ComponentPropertySequence) != "3660" {
				t.Errorf("an event says %q, %q, %q", value(ical.ComponentPropertyDtstamp), value(ical.ComponentPropertyLastModified), value(ical.ComponentPropertySequence))
			}
		}
		if len(read) != len(wanted) {
			t.Fatalf("%d events are read of %d", len(read), len(wanted))
		}
		for i := range wanted {
			if read[i] != wanted[i] {
				t.Errorf("%s: read\n%+v, want\n%+v", name, read[i], wanted[i])
			}
		}
		asJSON, err := json.MarshalIndent(wanted, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fixture(t, name+".ics", text)
		fixture(t, name+".json", append(asJSON, '\n'))
	}
}

// fixture holds a file of web/test/fixtures to what a test wrote, or writes it where
// UPDATE_FIXTURES is set.
func fixture(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join("../web/test/fixtures/feeds", name)
	if os.Getenv("UPDATE_FIXTURES") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil || string(kept) != string(text) {
		t.Errorf("%s is not what is written: run this test with UPDATE_FIXTURES=1 (%v)", path, err)
	}
}

// holdsLines sees that a calendar has lines of at most 75 bytes that end with CRLF, whole
// characters on each, and no other control.
func holdsLines(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(text, "\r\n")
	if lines[len(lines)-1] != "" {
		t.Errorf("the last line has no end")
	}
	for _, line := range lines {
		if len(line) > 75 || strings.ToValidUTF8(line, "") != line || strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		for _, bad := range []string{"END:VEVENT\r\nBEGIN:VALARM", "\u202e", "\u2066", "\u2028"} {
			if strings.Contains(line, bad) {
				t.Errorf("a line holds %q", bad)
			}
		}
		if strings.HasPrefix(line, "X-EVIL") || strings.HasPrefix(line, "BEGIN:VALARM") {
			t.Errorf("a name made a line of its own: %q", line)
		}
	}
}

// TestFeedOfNothing: an empty calendar is one, and who is busy is not named.
func TestFeedOfNothing(t *testing.T) {
	t.Parallel()
	text := string(encodeFeed(db.Feed{Label: "H-12"}, db.FeedContent{}, time.UTC, ""))
	holdsLines(t, text)
	for _, line := range []string{"BEGIN:VCALENDAR", "VERSION:2.0", "CALSCALE:GREGORIAN", "NAME:H-12", "X-WR-CALNAME:H-12", "X-WR-TIMEZONE:UTC",
		"REFRESH-INTERVAL;VALUE=DURATION:PT15M", "X-PUBLISHED-TTL:PT15M", "END:VCALENDAR"} {
		if !strings.Contains(text, line+"\r\n") {
			t.Errorf("an empty calendar lacks %s:\n%s", line, text)
		}
	}
	content, _ := awkwardFeed(false)
	if busy := string(encodeFeed(db.Feed{Label: "x", Detail: db.FeedBusy}, content, time.UTC, "")); strings.Contains(busy, "Bia") || !strings.Contains(busy, "SUMMARY:Ocupado · H-12\r\n") {
		t.Error("a feed of busy times names guests")
	}
	one := encodeFeed(db.Feed{Label: "x"}, content, time.UTC, "")
	if two := encodeFeed(db.Feed{Label: "x"}, content, time.UTC, ""); string(one) != string(two) {
		t.Error("the same content is written in two ways: no validator would ever match")
	}
}
