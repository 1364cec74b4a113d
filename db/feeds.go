package db

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"
)

const (
	// feedsOfOwner is how many feeds an account has at most that are not revoked.
	feedsOfOwner = 100
	// feedEvents is how many stays a feed tells, the nearest ones, of feedPast days ago to
	// feedFuture days from now.
	feedEvents = 5000
	feedPast   = 30
	feedFuture = 540
	// feedFarewell is for how long a revoked feed answers with an empty calendar, so that copies
	// elsewhere empty too.
	feedFarewell = 7 * 24 * time.Hour
)

// FeedDetail is what a feed tells of a stay.
type FeedDetail string

// What a feed tells of a stay: that the hangar is taken, or also by whom.
const (
	FeedBusy FeedDetail = "busy"
	FeedFull FeedDetail = "full"
)

// Feed is an address under which another calendar reads bookings: those of one hangar, or of all
// when HangarID is "".
type Feed struct {
	ID            string       `db:"id"`
	OwnerID       string       `db:"owner_id"`
	HangarID      string       `db:"hangar_id"`
	Detail        FeedDetail   `db:"detail"`
	Label         string       `db:"label"`
	CreatedBy     string       `db:"created_by"`
	CreatedByName string       `db:"created_by_name"`
	CreatedAt     time.Time    `db:"created_at"`
	ReadAt        sql.NullTime `db:"read_at"`
	Agent         string       `db:"agent"`
	RevokedAt     sql.NullTime `db:"revoked_at"`
}

// feedColumns are those of a Feed f. Its id is the beginning of its hash.
const feedColumns = `pg_catalog.encode(pg_catalog.substr(f.hash, 1, 16), 'hex') AS id, f.owner_id, coalesce(f.hangar_id, '') AS hangar_id,
	f.detail, f.label, f.created_by, f.created_at, f.read_at, coalesce(f.agent, '') AS agent, f.revoked_at`

// feedsQuery lists an account's feeds that are not revoked, oldest first.
const feedsQuery = `SELECT ` + feedColumns + `, coalesce((SELECT pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name))
		FROM {users} u WHERE u.id {=} {userKey:f.created_by}), '') AS created_by_name
	FROM realtime.calendar_feeds f WHERE f.owner_id = $1::text AND f.revoked_at IS NULL ORDER BY f.created_at, f.hash`

// Feeds returns an account's feeds, oldest first.
func (s *Store) Feeds(ctx context.Context, ownerID string) ([]Feed, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	feeds := []Feed{}
	if err := s.listFor(ctx, s.account, &feeds, func(q *queries) string { return q.feeds }, ownerID); err != nil {
		return nil, fmt.Errorf("read feeds of owner %s: %w", ownerID, err)
	}
	return feeds, nil
}

// AddFeed makes a feed of what f says about account, hangar, detail, label and maker, and returns
// its secret, which is kept by nobody else. ErrNotFound: the account has no such hangar.
// ErrTooMany: it has feedsOfOwner.
func (s *Store) AddFeed(ctx context.Context, f Feed) (made Feed, secret string, err error) {
	if f.HangarID != "" {
		found, err := s.Listings(ctx, f.OwnerID, time.Now())
		if err != nil {
			return f, "", err
		}
		if !slices.ContainsFunc(found, func(l Listing) bool { return l.HangarID == f.HangarID }) {
			return f, "", ErrNotFound
		}
	}
	var random [32]byte
	rand.Read(random[:])
	secret = base64.RawURLEncoding.EncodeToString(random[:])
	hash := sha256.Sum256([]byte(secret))
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = s.getFor(ctx, s.account, &made, always(`
		INSERT INTO realtime.calendar_feeds AS f (hash, owner_id, hangar_id, detail, label, created_by)
		SELECT $1, $2, nullif($3, ''), $4, $5, $6
		WHERE (SELECT count(*) FROM realtime.calendar_feeds WHERE owner_id = $2 AND revoked_at IS NULL) < $7
		RETURNING `+feedColumns), hash[:], f.OwnerID, f.HangarID, string(f.Detail), f.Label, f.CreatedBy, feedsOfOwner)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrTooMany
	}
	if err != nil {
		return f, "", fmt.Errorf("add a feed of owner %s: %w", f.OwnerID, err)
	}
	return made, secret, nil
}

// RevokeFeed ends a feed of an account, or returns ErrNotFound.
func (s *Store) RevokeFeed(ctx context.Context, ownerID, id string) error {
	err := s.write(ctx, `UPDATE realtime.calendar_feeds SET revoked_at = now()
		WHERE owner_id = $1 AND pg_catalog.encode(pg_catalog.substr(hash, 1, 16), 'hex') = $2 AND revoked_at IS NULL`, ownerID, id)
	if err != nil {
		return fmt.Errorf("revoke a feed of owner %s: %w", ownerID, err)
	}
	return nil
}

// openFeed notes who reads a feed, and ends it with the membership of who made it. What ended a
// while ago is removed.
const openFeed = `WITH gone AS (DELETE FROM realtime.calendar_feeds WHERE revoked_at < now() - $3::interval)
	UPDATE realtime.calendar_feeds f SET read_at = now(), agent = $2 WHERE hash = $1 AND coalesce(revoked_at > now() - $3::interval, true) RETURNING ` + feedColumns

// OpenFeed returns the feed of a secret, with its stays, unless it is revoked: then
// there are none. agent is what reads it, by its own account. ErrNotFound: there is none, or it was
// revoked a week ago.
func (s *Store) OpenFeed(ctx context.Context, secret, agent string, now time.Time) (f Feed, c FeedContent, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	hash := sha256.Sum256([]byte(secret))
	err = s.getFor(ctx, s.account, &f, always(openFeed), hash[:], agent, fmt.Sprintf("%d seconds", int(feedFarewell.Seconds())))
	if errors.Is(err, sql.ErrNoRows) {
		return f, c, ErrNotFound
	}
	if err != nil {
		return f, c, fmt.Errorf("open a feed: %w", err)
	}
	if !f.RevokedAt.Valid {
		role, err := s.Access(ctx, Caller{UserID: f.CreatedBy, Issued: now}, f.OwnerID)
		if err != nil && !errors.Is(err, ErrSessionEnded) {
			return f, c, fmt.Errorf("open a feed: %w", err)
		}
		if role == "" {
			f.RevokedAt = sql.NullTime{Time: now, Valid: true}
			if err := s.RevokeFeed(ctx, f.OwnerID, f.ID); err != nil && !errors.Is(err, ErrNotFound) {
				return f, c, err
			}
		}
	}
	if f.RevokedAt.Valid {
		return f, c, nil
	}
	c, err = withFallback(ctx, s, f.OwnerID, func(w *written, kept bool) (FeedContent, error) { return s.feedBy(ctx, w, f, now, kept) })
	if err != nil {
		return f, c, fmt.Errorf("read a feed of owner %s: %w", f.OwnerID, err)
	}
	return f, c, nil
}

// FeedContent is what a feed tells. Dates says that stays have dates without hours. Installation
// names what the ids are of; it stays the same after a restore.
type FeedContent struct {
	Installation string
	Dates        bool
	Stays        []FeedStay
}

// FeedStay is a stay in a feed. Created and Changed are when its booking was, to the second.
type FeedStay struct {
	BookingID, HangarNumber, GuestName string
	Pending                            bool
	CheckIn, CheckOut                  time.Time
	Created, Changed                   time.Time
}

// feedDetail is what a feed tells of a stay beside its dates.
type feedDetail struct {
	BookingID string    `db:"booking_id"`
	GuestName string    `db:"guest_name"`
	Created   time.Time `db:"created_at"`
	Changed   time.Time `db:"updated_at"`
}

func (s *Store) feedBy(ctx context.Context, w *written, f Feed, now time.Time, kept bool) (FeedContent, error) {
	queries := w.sql.projection.calendar
	return inSnapshot(ctx, s, w, func(selecting selector) (c FeedContent, err error) {
		y, m, d := now.In(s.loc).Date()
		today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		grid := newDayGrid(today.AddDate(0, 0, -feedPast), today.AddDate(0, 0, feedFuture), s.loc, w.shape.checkIn == "date")
		c.Dates = grid.dates
		var names []string
		if err := selecting(&names, `SELECT name::text FROM realtime.installation`); err != nil {
			return c, err
		}
		c.Installation = names[0]
		rows, err := grid.selectStays(selecting, queries.staysOf(kept), f.OwnerID, false)
		if err != nil {
			return c, err
		}
		var hangars []CalendarHangar
		if err := selecting(&hangars, queries.hangars, f.OwnerID); err != nil {
			return c, err
		}
		numbers := make(map[string]string, len(hangars))
		for _, h := range hangars {
			if f.HangarID == "" || f.HangarID == h.HangarID {
				numbers[h.HangarID] = h.HangarNumber
			}
		}
		var own []stay
		for _, row := range rows {
			if _, ok := numbers[row.HangarID]; ok && row.BookingID != "" {
				own = append(own, grid.stay(row))
			}
		}
		own = nearest(grid.drawn(own), now)
		ids := make([]string, 0, len(own))
		for _, one := range own {
			ids = append(ids, one.id)
		}
		var details []feedDetail
		if err := selecting(&details, queries.feed, pq.Array(ids)); err != nil {
			return c, err
		}
		byID := make(map[string]feedDetail, len(details))
		for _, detail := range details {
			byID[detail.BookingID] = detail
		}
		for _, one := range own {
			detail := byID[one.id]
			c.Stays = append(c.Stays, FeedStay{
				BookingID: one.id, HangarNumber: numbers[one.hangar], GuestName: detail.GuestName, Pending: !one.occupies(),
				CheckIn: one.in, CheckOut: one.out, Created: detail.Created.Truncate(time.Second), Changed: detail.Changed.Truncate(time.Second),
			})
		}
		return c, nil
	})
}

// nearest returns the stays that are nearest to now, at most feedEvents, by check-in and id.
func nearest(stays []stay, now time.Time) []stay {
	if len(stays) <= feedEvents {
		return stays
	}
	distance := func(s stay) time.Duration { return max(s.in.Sub(now), now.Sub(s.out), 0) }
	slices.SortStableFunc(stays, func(a, b stay) int { return cmp.Compare(distance(a), distance(b)) })
	stays = stays[:feedEvents]
	slices.SortFunc(stays, func(a, b stay) int { return cmp.Or(a.in.Compare(b.in), cmp.Compare(a.id, b.id)) })
	return stays
}
