package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// tripAfter is how many failures in a row open the breaker, and openFor how long it then stays open before one
	// question is let through again.
	tripAfter = 5
	openFor   = 500 * time.Millisecond
)

// ErrUnavailable says that the database did not answer lately and was not asked again.
var ErrUnavailable = errors.New("the database is away and is not asked again yet")

// breaker stops asking a database that is away: questions fail at once instead of piling up behind their time limits.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]
}

func newBreaker() breaker {
	return breaker{gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "database",
		Timeout:      openFor,
		ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return !Unavailable(err) },
	})}
}

// answerTo returns the answer to a question, unless the breaker is open or ctx ends before there is one. The question is then left
// to itself: lib/pq looks at its context only while the network answers, and goes on waiting until the connection is cut.
func answerTo[T any](ctx context.Context, b breaker, ask func() (T, error)) (answer T, err error) {
	_, err = b.circuit.Execute(func() (struct{}, error) {
		type outcome struct {
			answer T
			err    error
		}
		done := make(chan outcome, 1)
		go func() {
			answer, err := ask()
			done <- outcome{answer, err}
		}()
		select {
		case o := <-done:
			answer = o.answer
			return struct{}{}, o.err
		case <-ctx.Done():
			return struct{}{}, fmt.Errorf("no answer in time: %w", ctx.Err())
		}
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = ErrUnavailable
	}
	return answer, err
}
