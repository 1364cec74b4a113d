package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestTrendsRefuse: what is wrong with a range is said with the field's name.
func TestTrendsRefuse(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, harness.AtNoon()...)
	date := func(days int) string { return time.Now().In(dbtest.Noon()).AddDate(0, 0, days).Format(time.DateOnly) }
	for query, field := range map[string]string{
		"from=2026-02-30": "from", "from=x": "from", "from=9999-01-01": "to", "from=0001-01-01": "from", "to=9999-12-31": "to", "to=" + date(2): "to",
		"from=" + date(0) + "&to=" + date(0): "to", "from=" + date(0) + "&to=" + date(-1): "to",
		"from=" + date(-400): "to", "interval=hour&from=" + date(-14): "to", "interval=week&from=" + date(-7*161): "to",
		"interval=month&from=" + date(-31*61): "to", "interval=year": "interval", "compare=x": "compare", "match=x": "match",
		"format=xml": "format", "csv=rfc4180": "csv", "format=csv&csv=x": "csv", "hangarId=" + fmt.Sprintf("%0500d", 1): "hangarId",
	} {
		status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/trends?"+query, s.Token)
		if status != http.StatusBadRequest || body["field"] != field {
			t.Errorf("%s: %d, field %v", query, status, body["field"])
		}
	}
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/trends?from="+date(-399), s.Token); status != http.StatusOK || len(body["buckets"].([]any)) != 400 {
		t.Errorf("400 days: %d", status)
	}
	for path, want := range map[string]int{"owners/" + s.Owner.ID + "/trends?hangarId=999": http.StatusNotFound,
		"owners/" + s.Portal.AddOwner(t, 1).ID + "/trends": http.StatusForbidden} {
		if status, _, _ := s.Get(t, path, s.Token); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestTrendsAreTheCards asks after each change, remembered answers too: the bucket of today is what
// the cards say, the hours of today are it, and the overview's small charts end with it.
func TestTrendsAreTheCards(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, harness.AtNoon()...)
	s.Portal.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
		VALUES ($1, $2, now(), now() + interval '1 hour', 1, 1, 1, 1, 'pending', now() - interval '40 days')`, s.Owner.Hangars[0], s.Guest)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	harness.Eventually(t, "trends are kept", func() bool { return s.Portal.ID(t, `SELECT count(*)::text FROM realtime.trend_marks`) != "0" })
	sum := func(list any) (sum float64) {
		for _, value := range list.([]any) {
			if value != nil {
				sum += value.(float64)
			}
		}
		return sum
	}
	get := func(path string) map[string]any {
		status, header, body := s.Get(t, "owners/"+s.Owner.ID+path, s.Token)
		if status != http.StatusOK || header.Get("Last-Event-ID") == "" {
			t.Fatalf("%s: %d %v", path, status, body)
		}
		return body
	}
	for _, statement := range []string{
		``,
		`UPDATE bookings SET status = 'confirmed', payment_date = now() AT TIME ZONE 'UTC', check_in = now() AT TIME ZONE 'UTC' WHERE id = ` + booking,
		`UPDATE bookings SET total_price = 333.33 WHERE id = ` + booking,
		`UPDATE bookings SET payment_date = NULL WHERE id = ` + booking,
		`UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC' WHERE id = ` + booking,
		`UPDATE bookings SET status = 'cancelled' WHERE id = ` + booking,
		`DELETE FROM bookings WHERE id = ` + booking,
	} {
		if statement != "" {
			s.Portal.Exec(t, statement)
		}
		for range 2 {
			cards := get("/metrics")
			day := get("/trends")
			series := day["series"].(map[string]any)
			hours := get("/trends?interval=hour")["series"].(map[string]any)
			month := get("/trends?interval=month&from=" + time.Now().In(dbtest.Noon()).AddDate(0, -2, 0).Format("2006-01-02"))["series"].(map[string]any)
			lines := get("/overview")["sparklines"].(map[string]any)
			if text, err := json.Marshal(lines); err != nil || len(text) > 1024 {
				t.Errorf("the overview's small charts are %d bytes, %v", len(text), err)
			}
			for metric, card := range map[string]string{"revenue": "revenueToday", "bookings": "bookingsToday"} {
				values := series[metric].([]any)
				line := lines[metric].([]any)
				if today := values[len(values)-1]; today != cards[card] || sum(hours[metric]) != cards[card] || line[13] != cards[card] || len(line) != 14 {
					t.Errorf("after %q %s: the card says %v, today's bucket %v, its hours %v, the overview %v", statement, metric, cards[card], today, sum(hours[metric]), line)
				}
				if sum(month[metric]) < sum(values) {
					t.Errorf("after %q %s: months have %v, and days of them %v", statement, metric, sum(month[metric]), sum(values))
				}
			}
			if got := sum(series["cancelled"]) == 1; got != strings.Contains(statement, "cancelled") {
				t.Errorf("after %q: cancelled %v", statement, series["cancelled"])
			}
			if day["before"] != nil || day["totals"].(map[string]any)["revenue"].(map[string]any)["before"] != nil {
				t.Errorf("after %q: something is compared: %v", statement, day["before"])
			}
		}
	}
}

// TestTrendsTable reads tables back whose hangar has a name that is a formula, quotes, separators
// and line ends.
func TestTrendsTable(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	table := func(query string) (*http.Response, []byte) {
		request, err := http.NewRequest(http.MethodGet, s.Base+"api/owners/"+s.Owner.ID+"/trends?format=csv"+query, nil)
		harness.Must(t, err)
		request.Header.Set("Authorization", "Bearer "+s.Token)
		response, err := harness.Client.Do(request)
		harness.Must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		harness.Must(t, err)
		return response, body
	}
	month, _ := table("&from=2026-01-01&to=2026-02-01")
	if got, want := month.Header.Get("Content-Disposition"), `attachment; filename="tendencias-`+s.Owner.ID+`-2026-01.csv"`; got != want {
		t.Errorf("a month is kept as %s, want %s", got, want)
	}
	s.Portal.Exec(t, `ALTER TABLE hangar_listings ALTER COLUMN hangar_number TYPE text`)
	s.Portal.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_date)
		VALUES ($1, $2, now(), now() + interval '1 day', 1, 1, 1, -1234.5, 'confirmed', now() AT TIME ZONE 'UTC')`, s.Owner.Hangars[0], s.Guest)
	for _, name := range []string{`=cmd|'/C calc'!A0`, `-1`, "+1", "@SUM(A1)", "\tx", `a;b`, `say "hangar"`, "two\nlines", "＝1+1", "H-12", ""} {
		s.Portal.Exec(t, `UPDATE hangar_listings SET hangar_number = $1 WHERE id = $2`, name, s.Owner.Hangars[0])
		for form, comma := range map[string]rune{"": ';', "&csv=rfc4180": ','} {
			response, body := table("&compare=before&hangarId=" + s.Owner.Hangars[0] + form)
			text, marked := strings.CutPrefix(string(body), "\ufeff")
			disposition := response.Header.Get("Content-Disposition")
			if response.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !marked || response.Header.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.HasPrefix(disposition, `attachment; filename="tendencias-`+s.Owner.ID+"-20") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
				t.Fatalf("%q: %d %v %.200q", name, response.StatusCode, response.Header, body)
			}
			r := csv.NewReader(strings.NewReader(text))
			r.Comma = comma
			rows, err := r.ReadAll()
			harness.Must(t, err)
			last := rows[len(rows)-1]
			want := name
			if name != "" && strings.ContainsAny(name[:1], "=-+@\t") || strings.HasPrefix(name, "＝") {
				want = "'" + name
			}
			revenue := map[rune]string{';': "-1234,50", ',': "-1234.50"}[comma]
			if len(rows) != 31 || len(last) != 16 || last[15] != want || last[3] != revenue || last[2] != "não" {
				t.Errorf("%q: %d rows, the last %q, want the hangar %q", name, len(rows), last, want)
			}
		}
	}
}
