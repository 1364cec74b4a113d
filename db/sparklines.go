package db

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sparklines are an owner's last days, today the last of them: revenue, bookings and occupancy by
// day, nil where that is not known.
type Sparklines struct {
	Days      []string   `json:"days"`
	Revenue   []*Decimal `json:"revenue"`
	Bookings  []*Decimal `json:"bookings"`
	Occupancy []*Decimal `json:"occupancy"`
}

// Sparklines computes those of an owner at the instant now. It is nil while the tables would have
// to be asked: a page is not to wait for them.
func (s *Store) Sparklines(ctx context.Context, ownerID string, days int, now time.Time) (*Sparklines, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	y, m, d := now.In(s.loc).Date()
	tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	q := TrendQuery{Interval: TrendDay, From: tomorrow.AddDate(0, 0, -days), To: tomorrow, Compare: CompareNone}
	var t Trends
	err := s.asking(ctx, func(w *written) (err error) {
		t, err = s.trendsBy(ctx, w, ownerID, q, now, true)
		return err
	})
	if errors.Is(err, errNotProjected) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("compute sparklines of owner %s: %w", ownerID, err)
	}
	lines := &Sparklines{Revenue: t.Series.Revenue, Bookings: t.Series.Bookings, Occupancy: t.Series.Occupancy}
	for day := q.From; day.Before(q.To); day = day.AddDate(0, 0, 1) {
		lines.Days = append(lines.Days, day.Format(time.DateOnly))
	}
	return lines, nil
}
