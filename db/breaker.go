package db

import (
	"errors"
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

// do asks, unless the breaker is open.
func (b breaker) do(ask func() error) error {
	_, err := b.circuit.Execute(func() (struct{}, error) { return struct{}{}, ask() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrUnavailable
	}
	return err
}
