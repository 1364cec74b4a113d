// Package demo is a small hangar portal to watch: business tables as the portal has
// them, three owners with months of believable history, and a simulator in which
// guests book, pay, arrive and leave.
//
// It writes only ordinary rows by ordinary SQL, deterministically for a given random seed and time,
// and only into tables that it created itself. It knows nothing of what observes those tables;
// SeedPayouts alone writes to one of ours.
package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// DemoPassword is the password of every demo owner's user. It protects nothing:
// demo data is invented.
const DemoPassword = "hangar-demo"

// emailDomain marks the users of demo owners: their e-mail addresses end in it.
const emailDomain = "demo.hangarshare.example"

// guestDomain ends the e-mail addresses of demo guests, who cannot sign in.
const guestDomain = "guest.hangarshare.example"

// lockedPassword is the password hash of users who cannot sign in: no password has it.
const lockedPassword = "!"

// Owner is a demo owner account.
type Owner struct {
	ID          string `db:"id"`
	UserID      string `db:"user_id"`
	CompanyName string `db:"company_name"`
	Email       string `db:"email"` // of the owner's user
}

// Owners lists the demo owners by id; none when the database holds no demo.
func Owners(ctx context.Context, db *sqlx.DB) ([]Owner, error) {
	var owners []Owner
	err := db.SelectContext(ctx, &owners, `
		SELECT o.id::text AS id, u.id::text AS user_id, o.company_name, u.email
		FROM hangar_owners o JOIN users u ON u.id = o.user_id
		WHERE u.email LIKE '%@' || $1 ORDER BY o.id`, emailDomain)
	if err != nil {
		return nil, fmt.Errorf("list demo owners: %w", err)
	}
	return owners, nil
}

// demoHangars selects the ids of the demo owners' listings.
const demoHangars = `SELECT l.id FROM hangar_listings l JOIN hangar_owners o ON o.id = l.owner_id
	JOIN users u ON u.id = o.user_id WHERE u.email LIKE '%@` + emailDomain + `'`

// utc is t as a value for a timestamp without a zone.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// shape is which of the optional columns the tables have.
type shape struct {
	PaymentDate bool `db:"payment_date"`
	TotalSpaces bool `db:"total_spaces"`
}

func inspect(ctx context.Context, q sqlx.QueryerContext) (shape, error) {
	var s shape
	err := sqlx.GetContext(ctx, q, &s, `
		SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('public.bookings')
				AND attname = 'payment_date' AND NOT attisdropped) AS payment_date,
			EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('public.hangar_listings')
				AND attname = 'total_spaces' AND NOT attisdropped) AS total_spaces`)
	if err != nil {
		return s, fmt.Errorf("inspect the demo tables: %w", err)
	}
	return s, nil
}

// hangarSpaces is an SQL expression for the spaces of a listing with alias l.
func (s shape) hangarSpaces() string {
	if s.TotalSpaces {
		return "coalesce(l.total_spaces, 1)"
	}
	return "1"
}

// bookingsTable is where the rows of bookings live.
func (s shape) bookingsTable() string {
	if s.PaymentDate {
		return "bookings"
	}
	return "hangar_bookings"
}
