package db

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// privacyTimeout bounds an export or an erasure: the log is looked through.
const privacyTimeout = 5 * time.Minute

// Person is whose traces are looked for: a user's rows, where UserID is set, and what the log and
// the occupancy say under a name, as the portal's users have it (first and last name).
type Person struct {
	UserID string // of the portal; "" for a guest of whom only the name counts
	Name   string
	Email  string
}

// FindPerson completes a person from the portal's users. One who is not there any more keeps what
// is given.
func (s *Store) FindPerson(ctx context.Context, id string, account bool, name, email string) (Person, error) {
	p := Person{Name: name, Email: email}
	user, err := s.User(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		if name == "" {
			return p, fmt.Errorf("users has no row with the id %q: give --name as the portal had it", id)
		}
	case err != nil:
		return p, err
	default:
		p.Name, p.Email = cmp.Or(name, user.Name), cmp.Or(email, user.Email)
	}
	if account {
		p.UserID = id
	}
	return p, nil
}

// toldOf is the condition for rows of the log that hold a name, $2.
const toldOf = `($2 <> '' AND type NOT LIKE '.%' AND (data->>'guestName' = $2 OR data->>'previousOccupant' = $2 OR data->>'newOccupant' = $2))`

// noteOf is the condition for rows of the log that tell servers of a user, $1: whose connections
// end.
const noteOf = `($1 <> '' AND (type = '.disconnect' AND data->>'user' = $1 OR type = 'access' AND data->>'userId' = $1))`

// traces are the tables with rows of a person, and which those are: $1 is the user's id, "" for
// none, $2 the name, $3 the e-mail address. What is erased of the log is told by a row of its own,
// and the journal stays: it has to be kept (Marco Civil da Internet, art. 15).
var traces = []struct {
	table, columns, where string
	erase                 string // "" keeps the rows
}{
	{"members", "owner_id, user_id, role, since", "$1 <> '' AND user_id = $1", "DELETE"},
	{"sessions", "user_id, expires_at, ended_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"tickets", "expires_at", "$1 <> '' AND viewer->>'userId' = $1", "DELETE"},
	{"revocations", "user_id, not_before", "$1 <> '' AND user_id = $1", "DELETE"},
	{"invitations", "owner_id, email, role, invited_by, created_at, expires_at", "$1 <> '' AND (invited_by = $1 OR $3 <> '' AND pg_catalog.lower(email) = pg_catalog.lower($3))", "DELETE"},
	{"calendar_feeds", "owner_id, hangar_id, detail, label, created_at, read_at, agent, revoked_at", "$1 <> '' AND created_by = $1", "DELETE"},
	{"notifications", "owner_id, kind, facts, happened_at, read_at, archived_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"notification_views", "owner_id, seen_through, cleared_until", "$1 <> '' AND user_id = $1", "DELETE"},
	{"preferences", "owner_id, kind, channel, mode", "$1 <> '' AND user_id = $1", "DELETE"},
	{"user_settings", "zone, lang, quiet_from, quiet_to, quiet_days, digest, digest_at, paused_until, private", "$1 <> '' AND user_id = $1", "DELETE"},
	{"push_subscriptions", "endpoint, label, created_at, last_ok_at, disabled_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"removed_devices", "removed_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"deliveries", "channel, target, not_before, expires_at, attempts, done_at, outcome, code, opened_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"rules", "owner_id, kind, changed_at", "$1 <> '' AND changed_by = $1", "UPDATE realtime.rules SET changed_by = NULL"},
	{"digests", "owner_id, period, sent_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"unsubscribe_tokens", "scope, expires_at", "$1 <> '' AND user_id = $1", "DELETE"},
	{"events", "at, owner_id, type, data", toldOf + " OR " + noteOf, "DELETE"},
	{"occupancy", "hangar_id, occupied, occupant", "$2 <> '' AND occupant = $2", "UPDATE realtime.occupancy SET occupant = NULL"},
	{"journal", "at, kind, owner_id, network, port, detail", "$1 <> '' AND user_id = $1", ""},
}

// impersonal are the other tables, and why export and erasure leave them out. A test holds both
// lists to the tables that are installed: a new one belongs into one of them.
var impersonal = map[string]string{
	"installation": "about the installation", "functions": "about the installation", "portal_tables": "about the installation",
	"watched": "about the installation", "not_crashed": "about the installation", "goose_db_version": "about the installation",
	"batches": "positions", "last_events": "positions of accounts", "notification_accounts": "positions of accounts", "notification_counts": "counts, which go with what they count", "notifier": "a position",
	"ledger": "amounts and days of bookings, which are the portal's", "ledger_totals": "sums", "ledger_marks": "moments",
	"ledger_generation": "a count", "payments": "moments of bookings, which are the portal's", "payouts": "the portal writes it",
	"departed_hangars": "a hangar's number and account, as long as its bookings are there",
	"trend_bookings":   "amounts and days of bookings, which are the portal's", "trend_sums": "sums", "trend_turns": "sums",
	"trend_marks": "moments", "trend_generation": "a count", "cancellations": "moments of bookings, which are the portal's",
	"capacity": "of hangars", "failures": "hashes, for an hour", "refresh_tokens": "hashes, which end with their session",
}

// ExportPerson returns what the tables of ours hold of a person, by table.
func (s *Store) ExportPerson(ctx context.Context, p Person) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, privacyTimeout)
	defer cancel()
	found := make(map[string]json.RawMessage, len(traces))
	for _, t := range traces {
		var rows []byte
		err := s.pool.GetContext(ctx, &rows, `SELECT coalesce(pg_catalog.json_agg(r), '[]'::json) FROM (SELECT `+t.columns+` FROM realtime.`+t.table+` WHERE ($1 || $2 || $3) IS NOT NULL AND (`+t.where+`)) r`,
			p.UserID, p.Name, p.Email)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", t.table, Explain(err))
		}
		found[t.table] = rows
	}
	return found, nil
}

// ErasePerson removes what the tables of ours hold of a person, and returns how many rows of each.
// The owners whose history had the name get a row that has their browsers load again, and the
// journal keeps that it was done.
func (s *Store) ErasePerson(ctx context.Context, p Person) (erased map[string]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, privacyTimeout)
	defer cancel()
	tx, err := s.pool.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin to erase: %w", Explain(err))
	}
	defer tx.Rollback()
	var owners []string
	if err := tx.SelectContext(ctx, &owners, `SELECT DISTINCT owner_id FROM realtime.events WHERE ($1 || $3) IS NOT NULL AND owner_id IS NOT NULL AND `+toldOf,
		p.UserID, p.Name, p.Email); err != nil {
		return nil, fmt.Errorf("find the owners concerned: %w", Explain(err))
	}
	erased = make(map[string]int64)
	for _, t := range traces {
		statement := t.erase
		switch statement {
		case "":
			continue
		case "DELETE":
			statement = "DELETE FROM realtime." + t.table
		}
		result, err := tx.ExecContext(ctx, statement+` WHERE ($1 || $2 || $3) IS NOT NULL AND (`+t.where+`)`, p.UserID, p.Name, p.Email)
		if err != nil {
			return nil, fmt.Errorf("erase from %s: %w", t.table, Explain(err))
		}
		if erased[t.table], err = result.RowsAffected(); err != nil {
			return nil, fmt.Errorf("count what was erased from %s: %w", t.table, err)
		}
	}
	if p.UserID != "" { // their streams end; after what was erased, which may have held such a row
		if _, err := tx.ExecContext(ctx, `INSERT INTO realtime.events (owner_id, type, data) VALUES ('', 'access', pg_catalog.json_build_object('userId', $1::text))`, p.UserID); err != nil {
			return nil, fmt.Errorf("end the user's streams: %w", Explain(err))
		}
	}
	if _, err := tx.ExecContext(ctx, `
		WITH told AS (INSERT INTO realtime.events (owner_id, type) SELECT o, 'truncated' FROM pg_catalog.unnest($1::text[]) AS o),
		noted AS (INSERT INTO realtime.journal (at, kind, user_id) VALUES (now(), $2, nullif($3, '')))
		SELECT realtime.ring()`, pq.Array(owners), JournalErase, p.UserID); err != nil {
		return nil, fmt.Errorf("tell the owners concerned: %w", Explain(err))
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("erase: %w", Explain(err))
	}
	erased["truncated owners"] = int64(len(owners))
	return erased, nil
}
