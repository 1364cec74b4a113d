package db

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// Kinds of entries in the journal.
const (
	JournalSignIn  = "sign_in"
	JournalFailed  = "sign_in_failed"
	JournalStream  = "stream"
	JournalMembers = "members"
	JournalAdmin   = "admin"
	JournalErase   = "erase"
)

const (
	// journalKeep is how long entries are kept: six months (Marco Civil da Internet, art. 15).
	journalKeep = "6 months"
	// journalQueue bounds the entries that wait to be written, journalBatch those of one statement.
	journalQueue = 8192
	journalBatch = 500
	// journalPause is how long entries are gathered, and journalPrune how often old ones are
	// removed.
	journalPause = time.Second
	journalPrune = time.Hour
	// journalTimeout bounds one statement, also the last at a stop.
	journalTimeout = 5 * time.Second
	// journalSeen bounds how many users and networks are known to have come within the hour.
	journalSeen = 1 << 16
)

// Entry is what a user or an operator did. Network is an address or a prefix, Port the client's
// own, 0 where it is not known.
type Entry struct {
	At                             time.Time
	Kind, UserID, OwnerID, Network string
	Port                           int
	Detail                         string
}

// Journal keeps who did what. It is written in batches beside whatever happens: nobody waits for
// it, and what it has no room for is counted.
type Journal struct {
	pool *sqlx.DB
	log  *slog.Logger
	in   chan Entry

	dropped, written atomic.Int64

	mu   sync.Mutex // guards what follows
	seen *simplelru.LRU[journalKey, int64]
}

// journalKey is a user who came from a network. The value is the hour.
type journalKey struct{ userID, network string }

// NewJournal returns a journal that is written while it runs.
func NewJournal(pool *sqlx.DB, log *slog.Logger) *Journal {
	seen, err := simplelru.NewLRU[journalKey, int64](journalSeen, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Journal{pool: pool, log: log, in: make(chan Entry, journalQueue), seen: seen}
}

// Note keeps an entry. It never waits.
func (j *Journal) Note(e Entry) {
	if j == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	select {
	case j.in <- e:
	default:
		j.dropped.Add(1)
	}
}

// NoteStream keeps that a user has opened a stream, once for a network and an hour: a million
// clients that come back are not a million rows.
func (j *Journal) NoteStream(e Entry) {
	if j == nil {
		return
	}
	e.At, e.Kind = time.Now(), JournalStream
	hour := e.At.Unix() / 3600
	key := journalKey{e.UserID, e.Network}
	j.mu.Lock()
	last, known := j.seen.Get(key)
	if !known || last != hour {
		j.seen.Add(key, hour)
	}
	j.mu.Unlock()
	if !known || last != hour {
		j.Note(e)
	}
}

// Collect implements stats.Collector.
func (j *Journal) Collect() []stats.Stat {
	return []stats.Stat{
		stats.Counter("hangarshare_journal_entries_total", "Entries written into the journal.", j.written.Load()),
		stats.Counter("hangarshare_journal_dropped_total", "Entries of the journal that were lost, because they came faster than they could be written.", j.dropped.Load()),
	}
}

// Run writes until ctx ends, and then what is left.
func (j *Journal) Run(ctx context.Context) error {
	ticker := time.NewTicker(journalPause)
	defer ticker.Stop()
	var pruned time.Time
	var batch []Entry
	for {
		stopping := false
		select {
		case <-ctx.Done():
			stopping = true
		case <-ticker.C:
		}
		ok := true
		for ok && (len(batch) > 0 || len(j.in) > 0) {
			for len(batch) < journalBatch && len(j.in) > 0 {
				batch = append(batch, <-j.in)
			}
			if err := j.write(context.WithoutCancel(ctx), batch); err != nil {
				ok = false // they are tried again; meanwhile the queue fills up
				j.log.Debug("the journal could not be written; trying again", "error", err)
			} else {
				j.written.Add(int64(len(batch)))
				batch = nil
			}
		}
		if stopping {
			j.dropped.Add(int64(len(batch)))
			return nil
		}
		if time.Since(pruned) > journalPrune && ok {
			pruned = time.Now()
			if err := j.prune(ctx); err != nil && ctx.Err() == nil {
				j.log.Warn("old entries of the journal were not removed", "error", err)
			}
		}
	}
}

// write writes entries in one statement.
func (j *Journal) write(ctx context.Context, entries []Entry) error {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	n := len(entries)
	at, kinds, users, owners := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	networks, ports, details := make([]string, n), make([]int64, n), make([]string, n)
	for i, e := range entries {
		at[i], kinds[i], users[i], owners[i] = e.At.UTC().Format(time.RFC3339Nano), e.Kind, e.UserID, e.OwnerID
		networks[i], ports[i], details[i] = e.Network, int64(e.Port), e.Detail
	}
	_, err := j.pool.ExecContext(ctx, `
		INSERT INTO realtime.journal (at, kind, user_id, owner_id, network, port, detail)
		SELECT at, kind, nullif(user_id, ''), nullif(owner_id, ''), nullif(network, ''), nullif(port, 0), nullif(detail, '')
		FROM ROWS FROM (pg_catalog.unnest($1::timestamptz[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]),
			pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::integer[]), pg_catalog.unnest($7::text[]))
			AS e (at, kind, user_id, owner_id, network, port, detail)`,
		pq.Array(at), pq.Array(kinds), pq.Array(users), pq.Array(owners), pq.Array(networks), pq.Array(ports), pq.Array(details))
	if err != nil {
		return fmt.Errorf("write the journal: %w", Explain(err))
	}
	return nil
}

// prune removes what is older than it has to be kept.
func (j *Journal) prune(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	_, err := j.pool.ExecContext(ctx, `DELETE FROM realtime.journal WHERE at < now() - interval '`+journalKeep+`'`)
	if err != nil {
		return fmt.Errorf("remove old entries of the journal: %w", Explain(err))
	}
	return nil
}
