package db

import (
	"context"
	"database/sql"
	"errors"
)

// errNotProjected says that the projection does not answer.
var errNotProjected = errors.New("the projection does not reach so far, or is not to be believed")

// withFallback asks what is kept, and the portal's tables when that does not answer: one such
// question at a time for an owner, because it reads their whole history.
func withFallback[T any](ctx context.Context, s *Store, ownerID string, ask func(w *written, kept bool) (T, error)) (answer T, err error) {
	err = s.asking(ctx, func(w *written) error {
		answer, err = ask(w, true)
		if errors.Is(err, errNotProjected) {
			leave, busy := s.history.enter(ctx, ownerID)
			if busy != nil {
				return busy
			}
			defer leave()
			answer, err = ask(w, false)
		}
		return err
	})
	return answer, err
}

// selector reads the rows of a query.
type selector func(into any, query string, args ...any) error

// inSnapshot answers several questions from one snapshot of the database.
func inSnapshot[T any](ctx context.Context, s *Store, w *written, answer func(selector) (T, error)) (T, error) {
	return Answer(ctx, s.guard, func() (none T, err error) {
		tx, err := s.pool.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return none, err
		}
		defer tx.Rollback()
		asking := transaction{tx, w.prepared}
		return answer(func(into any, query string, args ...any) error {
			return asking.SelectContext(ctx, into, query, args...)
		})
	})
}
