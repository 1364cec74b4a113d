package db

import (
	"context"
	"fmt"
)

// Reasons for which bookings are left out of some figures: nobody's hangar, a status that
// is none, amounts and dates without a value that can be computed with. Everything else
// that their rows say counts.
const (
	LeftOutHangar = "no_hangar"
	LeftOutStatus = "no_status"
	LeftOutAmount = "no_amount"
	LeftOutDates  = "no_dates"
)

// leftOutQuery counts such bookings.
const leftOutQuery = `
SELECT count(*) FILTER (WHERE b.hangar_id IS NULL) AS hangar, count(*) FILTER (WHERE b.status IS NULL) AS status,
	count(*) FILTER (WHERE {price} IS NULL OR {subtotal} IS NULL) AS amount,
	count(*) FILTER (WHERE b.check_in IS NULL OR b.check_out IS NULL) AS dates
FROM {bookings} b`

// LeftOut returns how many of all bookings are left out of some figures, by reason. It
// reads the whole table.
func (l *Projection) LeftOut(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, projectionTimeout)
	defer cancel()
	var row struct{ Hangar, Status, Amount, Dates int64 }
	if err := l.store.asking(ctx, func(w *written) error { return l.pool.GetContext(ctx, &row, w.sql.leftOut) }); err != nil {
		return nil, fmt.Errorf("count the bookings that are left out: %w", Explain(err))
	}
	return map[string]int64{LeftOutHangar: row.Hangar, LeftOutStatus: row.Status, LeftOutAmount: row.Amount, LeftOutDates: row.Dates}, nil
}
