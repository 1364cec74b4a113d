package handlers

import (
	"net/url"
	"strings"
	"time"
	"unicode"

	ical "github.com/arran4/golang-ical"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// feedRefresh is how often readers are asked to come back. Most come when they like.
	feedRefresh = "PT15M"
	// maxFeedText is how many characters a text in a feed has at most.
	maxFeedText = 200
)

// encodeFeed writes a feed as an iCalendar object (RFC 5545). A stay whose portal has no hours is
// an event of whole days; else instants are in UTC, so that no reader needs rules of a zone's past.
// link is the page of a booking, with {id}, or empty.
func encodeFeed(f db.Feed, c db.FeedContent, zone *time.Location, link string) []byte {
	calendar := ical.NewCalendarFor("HangarShare")
	calendar.SetProductId("-//HangarShare//Realtime//PT")
	calendar.SetCalscale("GREGORIAN")
	calendar.SetName(cleanText(f.Label))
	calendar.SetXWRCalName(cleanText(f.Label))
	calendar.SetXWRTimezone(zone.String())
	calendar.SetRefreshInterval(feedRefresh)
	calendar.SetXPublishedTTL(feedRefresh)
	for _, stay := range c.Stays {
		event := calendar.AddEvent(cleanText("booking-" + stay.BookingID + "@" + c.Installation))
		event.SetDtStampTime(stay.Changed)
		event.SetLastModifiedAt(stay.Changed)
		event.SetSequence(max(int(stay.Changed.Sub(stay.Created).Seconds()), 0))
		if c.Dates {
			event.SetAllDayStartAt(stay.CheckIn)
			event.SetAllDayEndAt(stay.CheckOut)
		} else {
			event.SetStartAt(stay.CheckIn)
			event.SetEndAt(stay.CheckOut)
		}
		event.SetStatus(ical.ObjectStatusConfirmed)
		if stay.Pending {
			event.SetStatus(ical.ObjectStatusTentative)
		}
		event.SetTimeTransparency(ical.TransparencyOpaque)
		title := "Ocupado"
		if f.Detail == db.FeedFull && cleanText(stay.GuestName) != "" {
			title = stay.GuestName
		}
		event.SetSummary(cleanText(cleanText(title) + " · " + stay.HangarNumber))
		if link != "" {
			event.SetURL(strings.ReplaceAll(link, "{id}", url.PathEscape(stay.BookingID)))
		}
	}
	return []byte(calendar.Serialize(ical.WithNewLineWindows))
}

// cleanText takes out of a text what has no place in a line of iCalendar: controls, which some
// readers take as the end of a line, other ends of lines, and what turns the direction of a text
// round. It cuts it to maxFeedText.
func cleanText(text string) string {
	var kept strings.Builder
	count := 0
	for _, r := range strings.ToValidUTF8(text, "") {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			r = ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\uFEFF':
			continue
		}
		if count++; count > maxFeedText {
			break
		}
		kept.WriteRune(r)
	}
	return strings.TrimSpace(kept.String())
}
