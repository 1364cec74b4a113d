package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

const (
	// tripAfter is how many failures in a row open the breaker, and openFor how long it then stays
	// open before one question is let through again.
	tripAfter = 5
	openFor   = 500 * time.Millisecond
	// signInShare is the part of the pool's connections, one in so many, that sign-ins
	// may hold at once.
	signInShare = 3
)

// Errors of questions that were not asked.
var (
	// ErrUnavailable says that the database did not answer lately and was not asked again.
	ErrUnavailable = errors.New("the database is away and is not asked again yet")
	// ErrBusy says that too many ask the same kind of question at present.
	ErrBusy = errors.New("too many questions of this kind are being asked")
)

// Breaker stops asking a database that is away: questions fail at once instead of piling
// up behind their time limits. There is one for each purpose, so that what one purpose
// suffers, or is made to suffer, is no other's.
type Breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]
	slots   chan struct{} // held by a question; nil: as many as the pool has
}

// NewBreaker returns the breaker of a purpose. slots is how many of its questions may be
// asked at once, 0 for any number.
func NewBreaker(purpose string, slots int) Breaker {
	b := Breaker{circuit: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         purpose,
		Timeout:      openFor,
		ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return !Unavailable(err) },
		// Who asked and left has learned nothing about the database.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})}
	if slots > 0 {
		b.slots = make(chan struct{}, slots)
	}
	return b
}

// enter waits for a slot. leave gives it back.
func (b Breaker) enter(ctx context.Context) (leave func(), err error) {
	if b.slots == nil {
		return func() {}, nil
	}
	select {
	case b.slots <- struct{}{}:
		return func() { <-b.slots }, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, ErrBusy
	}
}

// Answer returns the answer to a question, unless the breaker is open or ctx ends before
// there is one. The question is then left to itself: lib/pq looks at its context only
// while the network answers, and goes on waiting until the connection is cut. It keeps
// its slot until then, as it keeps its connection.
func Answer[T any](ctx context.Context, b Breaker, ask func() (T, error)) (answer T, err error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return answer, err
	}
	asked := false
	_, err = b.circuit.Execute(func() (struct{}, error) {
		type outcome struct {
			answer T
			err    error
		}
		done := make(chan outcome, 1)
		asked = true
		go func() {
			defer leave()
			defer crash.Report("question to the database")
			answer, err := ask()
			done <- outcome{answer, err}
		}()
		select {
		case o := <-done:
			answer = o.answer
			if o.err != nil && errors.Is(ctx.Err(), context.Canceled) {
				// PostgreSQL says 57014
				return struct{}{}, fmt.Errorf("%w (%w)", context.Canceled, o.err)
			}
			return struct{}{}, o.err
		case <-ctx.Done():
			return struct{}{}, fmt.Errorf("no answer in time: %w", ctx.Err())
		}
	})
	if !asked {
		leave()
	}
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = ErrUnavailable
	}
	return answer, err
}
