package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// written is the SQL for one shape of the portal's tables. It never changes: another
// shape has another.
type written struct {
	shape shape
	sql   queries
	// prepared are the statements of queries that are asked very often: PostgreSQL takes longer to
	// plan them than to answer.
	prepared map[string]*sqlx.Stmt
}

// question picks one of the queries.
type question func(*queries) string

// errOtherShape says that an answer is by the rules for another shape than the portal's
// tables have by now.
var errOtherShape = errors.New("the portal's tables have got another shape")

// reshapePause is the least time between two looks at the shape because a query failed:
// anybody may cause such errors.
const reshapePause = time.Second

// shapeError says what an error of a query tells about the shape that it was written for.
type shapeError int

const (
	noShapeError shapeError = iota
	mayBeShape              // a value of a request may cause it, too
	mustBeShape
)

// shapeErrors are what PostgreSQL says of a query that was written for another shape
// (PostgreSQL manual, appendix A).
var shapeErrors = map[pqerror.Code]shapeError{
	"42703": mustBeShape, // undefined column
	"42P01": mustBeShape, // undefined table
	"42809": mustBeShape, // wrong object type
	"3F000": mustBeShape, // invalid schema name
	"42883": mustBeShape, // undefined function, also for an operator between two types
	"42804": mustBeShape, // datatype mismatch
	"42846": mustBeShape, // cannot coerce
	"22003": mayBeShape,  // numeric value out of range
	"22P02": mayBeShape,  // invalid text representation
	"0A000": mustBeShape, // a cached plan must not change its result type
}

// shapeErrorOf classifies an error of PostgreSQL.
func shapeErrorOf(err error) shapeError {
	var pqErr *pq.Error
	if !errors.As(err, &pqErr) {
		return noShapeError
	}
	return shapeErrors[pqErr.Code]
}

// otherShape reports whether err may come from a query that was written for another shape.
func otherShape(err error) bool {
	return errors.Is(err, errOtherShape) || shapeErrorOf(err) != noShapeError
}

// asking has do ask what is written for the present shape, and once more where that turns
// out to be another one.
func (s *Store) asking(ctx context.Context, do func(*written) error) error {
	if hidden := s.hidden.Load(); hidden != nil {
		return *hidden
	}
	w := s.now.Load()
	err := do(w)
	if !otherShape(err) {
		return err
	}
	if shapeErrorOf(err) == mustBeShape {
		// A column that went a moment after the last look is no error of ours to show.
		if waited := s.awaitReshape(ctx, w); waited != nil {
			return waited
		}
	}
	changed, failed := s.reshape(ctx, w, err)
	switch {
	case changed:
		return do(s.now.Load())
	case failed != nil && Unavailable(failed):
		return failed
	}
	return err
}

// Reshape looks whether the portal's tables have got another shape, and from then on asks by that.
// It reports whether they have.
func (s *Store) Reshape(ctx context.Context) (changed bool, err error) {
	return s.reshape(ctx, s.now.Load(), nil)
}

// awaitReshape waits until the shape may be looked at again, or somebody found another one than
// that of was.
func (s *Store) awaitReshape(ctx context.Context, was *written) error {
	s.reshaping.Lock()
	pause := reshapePause - time.Since(s.checkedAt)
	s.reshaping.Unlock()
	if pause <= 0 || s.now.Load() != was {
		return nil
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reshape is Reshape for a caller that asked by was, and got an error that may come from it.
func (s *Store) reshape(ctx context.Context, was *written, because error) (changed bool, err error) {
	s.reshaping.Lock()
	defer s.reshaping.Unlock()
	if s.now.Load() != was {
		return true, nil
	}
	failed := because != nil && !errors.Is(because, errOtherShape)
	if failed && time.Since(s.checkedAt) < reshapePause {
		return false, nil
	}
	s.checkedAt = time.Now()
	found, err := inspect(ctx, s.pool)
	if err != nil {
		return false, err
	}
	found.server = was.shape.server
	var pqErr *pq.Error
	// prepared for results of another type
	stale := errors.As(because, &pqErr) && pqErr.Code == "0A000"
	if found == was.shape && !stale {
		return false, nil
	}
	w := &written{shape: found, sql: newQueries(found, s.zone)}
	if was.prepared != nil {
		if w.prepared, err = s.prepare(ctx, w.sql); err != nil {
			return false, err
		}
	}
	s.now.Store(w)
	// Who began to ask by what was written before has some seconds: what was written
	// before that is nobody's any more.
	if s.former != nil {
		for _, statement := range s.former.prepared {
			statement.Close()
		}
	}
	s.former = was
	return true, nil
}

// Prepare has the most frequent queries planned once for each connection. It is not for where a
// transaction pooler stands before the database: that gives a connection from hand to hand.
func (s *Store) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	s.reshaping.Lock()
	defer s.reshaping.Unlock()
	w := *s.now.Load()
	prepared, err := s.prepare(ctx, w.sql)
	if err != nil {
		return err
	}
	w.prepared = prepared
	s.now.Store(&w)
	return nil
}

func (s *Store) prepare(ctx context.Context, q queries) (map[string]*sqlx.Stmt, error) {
	prepared := make(map[string]*sqlx.Stmt)
	frequent := []string{q.projection.changes, q.projection.metrics, q.projection.listings, q.metrics, q.access,
		q.projection.calendar.hangars, q.projection.calendar.stays, q.projection.calendar.details,
		q.trends.hangars, q.trends.touched, q.trends.kept.sums, q.trends.kept.first, q.trends.kept.nights, q.trends.kept.parts, q.trends.kept.stays,
		q.notifications.listed, q.notifications.unread, q.notifications.news, hiddenQuery, q.accessOfMany, q.user, q.booking,
		q.projection.apply, q.trends.lag, q.trends.notes, q.trends.capacity, q.trends.apply, q.notifications.deliveries}
	for _, query := range slices.Concat(frequent, makingQueries, sendingQueries) {
		statement, err := s.pool.PreparexContext(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("prepare queries: %w", Explain(err))
		}
		prepared[query] = statement
	}
	return prepared, nil
}

// get reads one row, and list any number, unless the database is away.
func (s *Store) get(ctx context.Context, into any, ask question, args ...any) error {
	return s.getFor(ctx, s.guard, into, ask, args...)
}

// getFor is get for a purpose of its own.
func (s *Store) getFor(ctx context.Context, purpose Breaker, into any, ask question, args ...any) error {
	return s.asking(ctx, func(w *written) error { return s.getBy(ctx, w, purpose, into, ask(&w.sql), args...) })
}

// getBy is getFor with one of the queries of w, or any other.
func (s *Store) getBy(ctx context.Context, w *written, purpose Breaker, into any, query string, args ...any) error {
	return read(ctx, purpose, into, args, func(fresh any) error {
		if statement := w.prepared[query]; statement != nil {
			return statement.GetContext(ctx, fresh, args...)
		}
		return s.pool.GetContext(ctx, fresh, query, args...)
	})
}

func (s *Store) list(ctx context.Context, into any, ask question, args ...any) error {
	return s.listFor(ctx, s.guard, into, ask, args...)
}

func (s *Store) listFor(ctx context.Context, purpose Breaker, into any, ask question, args ...any) error {
	return s.asking(ctx, func(w *written) error { return s.listBy(ctx, w, purpose, into, ask(&w.sql), args...) })
}

// listBy is listFor with one of the queries of w, or any other.
func (s *Store) listBy(ctx context.Context, w *written, purpose Breaker, into any, query string, args ...any) error {
	return read(ctx, purpose, into, args, func(fresh any) error {
		if statement := w.prepared[query]; statement != nil {
			return statement.SelectContext(ctx, fresh, args...)
		}
		return s.pool.SelectContext(ctx, fresh, query, args...)
	})
}

// always is a question that is written in one way whatever the shape.
func always(query string) question { return func(*queries) string { return query } }
