package handlers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestCalendarSize holds the largest page to 60 KB compressed: 1,500 stays at random minutes and
// prices, in 20 hangars and 93 days.
func TestCalendarSize(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 12, 14, 0, 0, 0, zone)
	q := db.CalendarQuery{From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	q.To = q.From.AddDate(0, 0, db.CalendarDays)
	c := db.BookingCalendar{Next: "MjAgMjA"}
	counts := func(most int) []int {
		out := make([]int, db.CalendarDays)
		for i := range out {
			out[i] = r.IntN(most + 1)
		}
		return out
	}
	for day := range db.CalendarDays {
		at := q.From.AddDate(0, 0, day)
		c.Days = append(c.Days, db.CalendarDay{Date: at.Format(time.DateOnly), Start: at.Add(3 * time.Hour).In(zone), Hours: 24, Spaces: 200,
			Nights: r.Int64N(200), Arrivals: r.Int64N(20), Departures: r.Int64N(20)})
	}
	for n := range db.CalendarHangars {
		c.Hangars = append(c.Hangars, db.CalendarHangar{HangarID: strconv.Itoa(100 + n), HangarNumber: fmt.Sprintf("H-%02d", n), ICAOCode: "SBMT",
			Spaces: 10, Published: true, Nights: counts(10), Arrivals: counts(3), Departures: counts(3), Over: counts(0)})
	}
	first := strings.Fields(`Ana Bruno Caio Dalva Elisa Fábio Gilda Heitor Iara João Kátia Luís Marina Nelson Olga Paulo Quitéria Rui Sílvia Tadeu Ugo Vera Wagner Xênia Yara Zeca`)
	last := strings.Fields(`Alves Barros Cardoso Duarte Esteves Freitas Gomes Hirata Ikeda Jardim Klein Lopes Moura Nunes Ortiz Prado Queiroz Reis Souza Teles Uchoa Viana Weber Xavier Yamada Zanetti`)
	name := func() string {
		return first[r.IntN(len(first))] + " " + last[r.IntN(len(last))] + " " + last[r.IntN(len(last))]
	}
	for n := range db.CalendarStays {
		in := now.Add(time.Duration(r.IntN(90*24*60)) * time.Minute)
		c.Stays = append(c.Stays, db.CalendarStay{BookingID: strconv.Itoa(1_000_000 + 7*n), HangarID: strconv.Itoa(100 + n%20), Lane: r.IntN(10),
			Status: []string{"confirmed", "completed", "pending", "active"}[r.IntN(4)], GuestName: name(), CheckIn: in,
			CheckOut: in.Add(time.Duration(r.IntN(9*24*60)) * time.Minute), Amount: db.Decimal(fmt.Sprintf("%d.%02d", r.IntN(9000), r.IntN(100))), Paid: r.IntN(2) == 0})
	}
	content, err := jsonContent(pageContent(c, q, now))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(content.body); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d compressed", len(content.body), out.Len())
	if out.Len() > 60<<10 {
		t.Errorf("the largest page has %d bytes compressed, of 60 KiB", out.Len())
	}
}
