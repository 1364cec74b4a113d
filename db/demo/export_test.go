package demo

import (
	"context"
	"time"
)

// What the tests in demo_test, which need a database, see of the package's inside.

// Companies are the demo owners' names, in the order of their ids.
func Companies() (names []string) {
	for _, plan := range ownerPlans {
		names = append(names, plan.company)
	}
	return names
}

// Step does one thing and returns what.
func (s *Simulator) Step(ctx context.Context) (string, error) { return s.step(ctx) }

// Actions names everything that a simulator may do.
func (s *Simulator) Actions() (names []string) {
	for _, action := range s.agenda(&business{now: s.now()}) {
		names = append(names, action.name)
	}
	return names
}

// Round returns the owners of the next turns, as many as there are owners.
func (s *Simulator) Round(ctx context.Context) (owners []int64, err error) {
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	for range s.owners {
		owners = append(owners, s.nextOwner())
	}
	return owners, nil
}

// SetBackoff bounds the pauses while the database is away.
func (s *Simulator) SetBackoff(first, longest time.Duration) {
	s.firstBackoff, s.longestBackoff = first, longest
}
