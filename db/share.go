package db

import (
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	// crowdedWait is how long an attempt to connect waits for a place in a database that has none.
	crowdedWait = 5 * time.Second
	// leastShare is below how many connections a pool does not shrink: one of them may be
	// held for the numbering.
	leastShare = 2
	// regrowAfter is after what time a pool that made room tries to have another connection.
	regrowAfter = 10 * time.Second
)

// share is how many connections a pool may have. It shrinks where the database has no place for
// more (the server's max_connections, a database's or a role's CONNECTION LIMIT), so that requests
// wait for a connection instead of failing, and grows again by itself.
type share struct {
	pool *sql.DB

	mu    sync.Mutex // guards what follows
	most  int
	now   int
	timer *time.Timer
}

// crowded reports whether an error says that the database has no place for another connection.
func crowded(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && refused.Code == "53300"
}

// setMost sets the size of the pool.
func (s *share) setMost(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most, s.now = n, n
	s.apply()
}

func (s *share) apply() {
	s.pool.SetMaxOpenConns(s.now)
	s.pool.SetMaxIdleConns(s.now)
}

// shrink bounds the pool to what it has, without the attempt that has just failed. It reports false
// where that would leave too few to wait for.
func (s *share) shrink() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.pool.Stats().OpenConnections - 1
	if open < leastShare {
		return false
	}
	s.become(min(s.now, open))
	return true
}

// yield makes room for a connection outside the pool that needs one more than anybody in it.
func (s *share) yield() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.become(max(leastShare, min(s.now, s.pool.Stats().OpenConnections)-1))
}

func (s *share) become(n int) {
	s.now = n
	s.apply()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(regrowAfter, s.regrow)
}

func (s *share) regrow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now < s.most {
		s.become(s.now + 1)
	}
}
