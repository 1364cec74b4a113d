package outbox_test

import (
	"strings"
	"testing"
)

// TestTellsNothingInvented tells of bookings whose price, dates or names are none: what their rows
// do not say is left out, though their user wants names and amounts, also once the booking is gone.
func TestTellsNothingInvented(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.Exec(t, `ALTER TABLE bookings ALTER total_price TYPE numeric, ALTER total_price DROP NOT NULL, ALTER check_in DROP NOT NULL, ALTER check_out DROP NOT NULL,
		DROP CONSTRAINT bookings_dates_check`)
	h.Exec(t, `INSERT INTO realtime.user_settings (user_id, private, lang) VALUES ($1, false, 'pt-BR')`, h.owner.UserID)
	h.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'now')`, h.owner.UserID, h.owner.ID)
	run(t, h.outbox(t))
	const dates = `check_in = '2026-03-12', check_out = '2026-03-15'`
	for what, c := range map[string]struct{ booking, guest, facts, title, body string }{
		"a price of nothing":           {booking: `total_price = 0`, title: "Nova reserva · H1 · 12 a 15 mar", body: "Caio Brandão · R$ 0,00"},
		"a price that is no number":    {booking: `total_price = 'NaN'`, title: "Nova reserva · H1 · 12 a 15 mar", body: "Caio Brandão"},
		"a price without an end":       {booking: `total_price = 'Infinity'`, title: "Nova reserva · H1 · 12 a 15 mar", body: "Caio Brandão"},
		"no price":                     {booking: `total_price = NULL`, title: "Nova reserva · H1 · 12 a 15 mar", body: "Caio Brandão"},
		"a stay that never ends":       {booking: `check_out = 'infinity'`, title: "Nova reserva · H1 · 12 mar", body: "Caio Brandão · R$ 220,50"},
		"a stay beyond what is told":   {booking: `check_out = '20000-01-01'`, title: "Nova reserva · H1 · 12 mar", body: "Caio Brandão · R$ 220,50"},
		"a stay that always was":       {booking: `check_in = '-infinity'`, title: "Nova reserva · H1", body: "Caio Brandão · R$ 220,50"},
		"a stay from before our era":   {booking: `check_in = '0044-03-15 BC'`, title: "Nova reserva · H1", body: "Caio Brandão · R$ 220,50"},
		"a stay without dates":         {booking: `check_in = NULL, check_out = NULL`, title: "Nova reserva · H1", body: "Caio Brandão · R$ 220,50"},
		"a stay that ends before":      {booking: `check_out = '2026-03-10'`, title: "Nova reserva · H1", body: "Caio Brandão · R$ 220,50"},
		"a name that nobody sees":      {guest: `first_name = E'\u200d\u3164', last_name = E'\u00a0\u0301\u2800'`, title: "Nova reserva · H1 · 12 a 15 mar", body: "R$ 220,50"},
		"a name of control characters": {guest: `first_name = E'\x01\x1b', last_name = E'\x7f\r\n'`, title: "Nova reserva · H1 · 12 a 15 mar", body: "R$ 220,50"},
		"gone, as a log of before says": {facts: `{"bookingId": "0", "hangarNumber": "H1", "amount": "NaN", "checkInDate": "0001-01-02T00:00:00Z", "checkOutDate": "9999-12-30T00:00:00Z"}`,
			title: "Nova reserva · H1"},
		"facts that are none": {facts: `["bookingId"]`, title: "Nova reserva"},
	} {
		h.Exec(t, `UPDATE users SET first_name = 'Caio', last_name = 'Brandão' WHERE id::text = $1`, h.guest)
		booking := h.Book(t, h.owner.Hangars[0], h.guest)
		h.Exec(t, `UPDATE bookings SET `+dates+` WHERE id::text = $1`, booking)
		if c.booking != "" {
			h.Exec(t, `UPDATE bookings SET `+c.booking+` WHERE id::text = $1`, booking)
		}
		if c.guest != "" {
			h.Exec(t, `UPDATE users SET `+c.guest+` WHERE id::text = $1`, h.guest)
		}
		notification := h.notify(t, "booking_created", booking, "")
		if c.facts != "" {
			h.Exec(t, `UPDATE realtime.notifications SET facts = $1::json WHERE id = $2::bigint`, c.facts, notification)
		}
		if got := h.outcome(t, h.deliver(t, notification, h.owner.UserID, "mail", "")); got != "sent" {
			t.Errorf("%s: %s", what, got)
			continue
		}
		letters := h.mail.Letters()
		if text, want := letterText(letters[len(letters)-1].Text), c.title+"\n"+c.body+"\n"; !strings.Contains(text, "\n"+want) {
			t.Errorf("%s: want %q, the letter is\n%s", what, want, text)
		}
	}
}

// letterText returns the text of a letter as it was before it was written for the way.
func letterText(letter string) string {
	_, body, _ := strings.Cut(letter, "\r\n\r\n")
	body = strings.ReplaceAll(body, "=\r\n", "")
	for encoded, plain := range map[string]string{"=C2=B7": "·", "=C3=A3": "ã", "=3D": "=", "\r\n": "\n"} {
		body = strings.ReplaceAll(body, encoded, plain)
	}
	return body
}
