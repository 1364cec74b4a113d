package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// Preference is a user's own choice in an account.
type Preference struct {
	Kind    string  `db:"kind"`
	Channel Channel `db:"channel"`
	Mode    Mode    `db:"mode"`
}

// Preferences returns what a user chose in an account: only what they chose themselves.
func (s *Store) Preferences(ctx context.Context, ownerID, userID string) ([]Preference, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []Preference{}
	err := s.listFor(ctx, s.account, &list, always(`SELECT kind, channel, mode FROM realtime.preferences WHERE user_id = $1 AND owner_id = $2`), userID, ownerID)
	if err != nil {
		return nil, fmt.Errorf("read preferences: %w", err)
	}
	return list, nil
}

// SetPreferences keeps a user's choices in an account, and has their screens told. An empty mode
// goes back to the default.
func (s *Store) SetPreferences(ctx context.Context, ownerID, userID string, chosen []Preference) error {
	var kinds, channels, modes []string
	for _, p := range chosen {
		kinds, channels, modes = append(kinds, p.Kind), append(channels, string(p.Channel)), append(modes, string(p.Mode))
	}
	return s.changeView(ctx, ownerID, `
		WITH chosen AS (SELECT * FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[])) AS c(kind, channel, mode)),
		removed AS (DELETE FROM realtime.preferences p USING chosen c WHERE c.mode = '' AND p.user_id = $2 AND p.owner_id = $1
			AND p.kind = c.kind AND p.channel = c.channel RETURNING 1),
		kept AS (INSERT INTO realtime.preferences AS p (user_id, owner_id, kind, channel, mode)
			SELECT $2, $1, kind, channel, mode FROM chosen WHERE mode <> ''
			ON CONFLICT (user_id, owner_id, kind, channel) DO UPDATE SET mode = excluded.mode RETURNING 1)
		SELECT 1 FROM removed UNION ALL SELECT 1 FROM kept`,
		ownerID, userID, pq.Array(kinds), pq.Array(channels), pq.Array(modes))
}

// Rule is what an account decided about a kind of notification that time brings.
type Rule struct {
	Kind      string          `db:"kind"`
	Params    json.RawMessage `db:"params"`
	Enabled   bool            `db:"enabled"`
	ChangedBy sql.NullString  `db:"changed_by"`
	ByName    sql.NullString  `db:"by_name"`
	ChangedAt sql.NullTime    `db:"changed_at"`
}

// Rules returns what an account decided: only what differs from the defaults.
func (s *Store) Rules(ctx context.Context, ownerID string) ([]Rule, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []Rule{}
	if err := s.listFor(ctx, s.account, &list, func(q *queries) string { return q.notifications.rules }, ownerID); err != nil {
		return nil, fmt.Errorf("read rules of owner %s: %w", ownerID, err)
	}
	return list, nil
}

// SetRule keeps what an account decided about a kind, and who did.
func (s *Store) SetRule(ctx context.Context, ownerID, userID string, r Rule) error {
	err := s.write(ctx, `INSERT INTO realtime.rules AS r (owner_id, kind, params, enabled, changed_by, changed_at) VALUES ($1, $2, $3::json, $4, $5, now())
		ON CONFLICT (owner_id, kind) DO UPDATE SET params = excluded.params, enabled = excluded.enabled, changed_by = excluded.changed_by,
			changed_at = excluded.changed_at`, ownerID, r.Kind, string(r.Params), r.Enabled, userID)
	if err != nil {
		return fmt.Errorf("change a rule of owner %s: %w", ownerID, err)
	}
	return nil
}

// UserSettings are a user's own, whatever the account. Times of day are HH:MM in Zone, or in the
// installation's where that is "". QuietDays are 0 (Sunday) to 6; none are all. Private keeps names
// and amounts out of what leaves the house.
type UserSettings struct {
	Zone, Lang         string
	QuietFrom, QuietTo string // "" for no quiet hours
	QuietDays          []int64
	Digest, DigestAt   string
	PausedUntil        time.Time // zero: not paused
	Private            bool
}

// UserSettings returns a user's settings: the defaults where they have none.
func (s *Store) UserSettings(ctx context.Context, userID string) (UserSettings, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var row struct {
		Zone, Lang, From, To, Digest, At string
		Days                             pq.Int64Array
		Paused                           sql.NullTime
		Private                          bool
	}
	err := s.getFor(ctx, s.account, &row, always(`SELECT coalesce(zone, '') AS zone, coalesce(lang, '') AS lang,
		coalesce(pg_catalog.to_char(quiet_from, 'HH24:MI'), '') AS from, coalesce(pg_catalog.to_char(quiet_to, 'HH24:MI'), '') AS to,
		`+quietDays+` AS days, digest, pg_catalog.to_char(digest_at, 'HH24:MI') AS at, paused_until AS paused, private
		FROM realtime.user_settings u WHERE u.user_id = $1`), userID)
	if errors.Is(err, sql.ErrNoRows) {
		return UserSettings{Digest: "off", DigestAt: "08:00", Private: true}, nil
	}
	if err != nil {
		return UserSettings{}, fmt.Errorf("read a user's settings: %w", err)
	}
	if !row.Paused.Time.After(earliest) { // that is no pause
		row.Paused.Time = time.Time{}
	}
	return UserSettings{Zone: row.Zone, Lang: row.Lang, QuietFrom: row.From, QuietTo: row.To, QuietDays: row.Days,
		Digest: row.Digest, DigestAt: row.At, PausedUntil: row.Paused.Time, Private: row.Private}, nil
}

// SetUserSettings keeps a user's settings.
func (s *Store) SetUserSettings(ctx context.Context, userID string, u UserSettings) error {
	err := s.write(ctx, `INSERT INTO realtime.user_settings AS u (user_id, zone, lang, quiet_from, quiet_to, quiet_days, digest, digest_at, paused_until, private)
		VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, '')::time, nullif($5, '')::time, nullif($6::smallint[], '{}'), $7, $8::time, $9, $10)
		ON CONFLICT (user_id) DO UPDATE SET zone = excluded.zone, lang = excluded.lang, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
			quiet_days = excluded.quiet_days, digest = excluded.digest, digest_at = excluded.digest_at, paused_until = excluded.paused_until, private = excluded.private`,
		userID, u.Zone, u.Lang, u.QuietFrom, u.QuietTo, pq.Array(u.QuietDays), u.Digest, u.DigestAt,
		sql.NullTime{Time: finite(u.PausedUntil), Valid: !u.PausedUntil.IsZero()}, u.Private)
	if err != nil {
		return fmt.Errorf("keep a user's settings: %w", err)
	}
	return nil
}
