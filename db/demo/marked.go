package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// BookingMark is the payment_method of the load test's bookings.
	BookingMark = "loadtest"
	// removeTimeout bounds the removal of them.
	removeTimeout = 30 * time.Second
)

// MarkedBookings writes bookings that are never paid, far in the future, and removes them.
type MarkedBookings struct {
	Pool *sql.DB

	mu    sync.Mutex // guards what follows
	ids   []string
	table string
}

// Book implements loadtest.Booker.
func (m *MarkedBookings) Book(ctx context.Context, ownerID string) (id string, commit func() error, err error) {
	tx, id, err := m.Begin(ctx, ownerID)
	if err != nil {
		return "", nil, err
	}
	return id, tx.Commit, nil
}

// Begin writes a booking in a transaction that is still open.
func (m *MarkedBookings) Begin(ctx context.Context, ownerID string) (tx *sql.Tx, id string, err error) {
	table, err := m.bookings(ctx)
	if err != nil {
		return nil, "", err
	}
	if tx, err = m.Pool.BeginTx(ctx, nil); err != nil {
		return nil, "", fmt.Errorf("begin a booking: %w", err)
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO `+table+`
			(hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method)
		SELECT l.id, o.user_id, now() + interval '1 year', now() + interval '1 year 1 day', 1, 100, 10, 110, 'pending', $2
		FROM hangar_owners o JOIN hangar_listings l ON l.owner_id = o.id WHERE o.id = $1 ORDER BY l.id LIMIT 1
		RETURNING id::text`, ownerID, BookingMark).Scan(&id)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("book for owner %s: %w", ownerID, err), tx.Rollback())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, id)
	return tx, id, nil
}

// bookings returns the table that holds bookings: in newer databases they are
// hangar_bookings, and bookings is a view.
func (m *MarkedBookings) bookings(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == "" {
		err := m.Pool.QueryRowContext(ctx, `SELECT coalesce(to_regclass('hangar_bookings'), 'bookings'::regclass)::text`).Scan(&m.table)
		if err != nil {
			return "", fmt.Errorf("look for the table of bookings: %w", err)
		}
	}
	return m.table, nil
}

// Remove deletes what was booked.
func (m *MarkedBookings) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ids) == 0 {
		return nil
	}
	_, err := m.Pool.ExecContext(ctx, `DELETE FROM `+m.table+` WHERE payment_method = $1 AND id::text = ANY ($2::text[])`,
		BookingMark, "{"+strings.Join(m.ids, ",")+"}")
	if err != nil {
		return fmt.Errorf("delete the load test's bookings: %w", err)
	}
	return nil
}
