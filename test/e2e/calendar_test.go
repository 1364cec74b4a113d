package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestCalendarRefuses: what is wrong with a window is said with the field's name.
func TestCalendarRefuses(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	date := func(days int) string { return time.Now().AddDate(0, 0, days).Format(time.DateOnly) }
	for query, field := range map[string]string{
		"from=2026-02-30": "from", "from=yesterday": "from", "from=9999-01-01": "from", "from=0001-01-01": "from", "from=" + date(-800): "from",
		"to=9999-12-31": "to", "from=" + date(1) + "&to=" + date(0): "to", "from=" + date(0) + "&to=" + date(0): "to",
		"from=" + date(0) + "&to=" + date(94): "to", "from=" + date(720) + "&to=" + date(760): "to", "to=2026-02-30": "to",
		"limit=0": "limit", "limit=21": "limit", "limit=x": "limit", "cursor=x": "cursor", "cancelled=perhaps": "cancelled",
		"changed=,": "changed", "changed=" + fmt.Sprintf("%0500d", 1): "changed", "hangarId=" + fmt.Sprintf("%0500d", 1): "hangarId",
	} {
		status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/calendar?"+query, s.Token)
		if status != http.StatusBadRequest || body["field"] != field {
			t.Errorf("%s: %d, field %v", query, status, body["field"])
		}
	}
	for _, hangar := range []string{"999999", "none", "\u202e", "1 OR 1=1"} {
		if status, _, _ := s.Get(t, "owners/"+s.Owner.ID+"/calendar?hangarId="+url.QueryEscape(hangar), s.Token); status != http.StatusNotFound {
			t.Errorf("hangar %q: %d", hangar, status)
		}
	}
	if status, _, _ := s.Get(t, "owners/"+s.Portal.AddOwner(t, 1).ID+"/calendar", s.Token); status != http.StatusForbidden {
		t.Errorf("another's calendar: %d", status)
	}
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/calendar?from="+date(0)+"&to="+date(93), s.Token); status != http.StatusOK || len(body["days"].([]any)) != 93 {
		t.Errorf("93 days: %d", status)
	}
}

// TestCalendarIsNeverOld asks after each change, so that the answer before is remembered, and sees
// that it is not given again.
func TestCalendarIsNeverOld(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	other := s.Portal.AddOwner(t, 1)
	for _, change := range []struct {
		statement string
		want      string
	}{
		{``, "1 stays, 0 nights of 2, [H1 H2]"},
		{`UPDATE bookings SET status = 'confirmed' WHERE id = ` + booking, "1 stays, 1 nights of 2, [H1 H2]"},
		{`UPDATE hangar_listings SET total_spaces = 3 WHERE id = ` + s.Owner.Hangars[1], "1 stays, 1 nights of 4, [H1 H2]"},
		{`UPDATE hangar_listings SET hangar_number = 'H7' WHERE id = ` + s.Owner.Hangars[1], "1 stays, 1 nights of 4, [H1 H7]"},
		{`UPDATE hangar_listings SET is_available = false WHERE id = ` + s.Owner.Hangars[1], "1 stays, 1 nights of 1, [H1 H7]"},
		{`UPDATE bookings SET hangar_id = ` + other.Hangars[0] + ` WHERE id = ` + booking, "0 stays, 0 nights of 1, [H1 H7]"},
		{`UPDATE bookings SET hangar_id = ` + s.Owner.Hangars[1] + ` WHERE id = ` + booking, "1 stays, 1 nights of 2, [H1 H7]"},
		{`DELETE FROM bookings WHERE id = ` + booking, "0 stays, 0 nights of 1, [H1 H7]"},
	} {
		if change.statement != "" {
			s.Portal.Exec(t, change.statement)
		}
		for range 2 {
			status, header, body := s.Get(t, "owners/"+s.Owner.ID+"/calendar", s.Token)
			if status != http.StatusOK || header.Get("Last-Event-ID") == "" {
				t.Fatalf("%s: %d", change.statement, status)
			}
			day, numbers := body["days"].([]any)[0].(map[string]any), []any{}
			for _, h := range body["hangars"].([]any) {
				numbers = append(numbers, h.(map[string]any)["hangarNumber"])
			}
			if got := fmt.Sprintf("%d stays, %v nights of %v, %v", len(body["stays"].([]any)), day["nights"], day["spaces"], numbers); got != change.want {
				t.Errorf("after %q: %s, want %s", change.statement, got, change.want)
			}
		}
	}
}
