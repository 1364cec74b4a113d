package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"
)

const (
	// burstMessages and burstBytes bound what is published in one round trip.
	burstMessages = 256
	burstBytes    = 1 << 20
)

// roleInterval is how often a Redis is asked whether it became a replica.
const roleInterval = 5 * time.Second

// errReplica says that Redis repeats another one: what is published there comes back, and reaches
// no server that is elsewhere.
var errReplica = errors.New("this Redis is a replica of another one")

// errEnded says that the subscription ended and Redis gave no reason.
var errEnded = errors.New("Redis ended the subscription")

// session is one client, made from scratch: it connects, and ends at the first loss.
type session struct {
	relay  *Relay
	client rueidis.Client
}

// connect makes a client. Its connections end with ctx.
func (r *Relay) connect(ctx context.Context) (*session, error) {
	r.attempts++
	client, err := rueidis.NewClient(r.Address.option(ctx, r.attempts-1))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{relay: r, client: client}
	if s.atReplica(ctx) {
		s.close()
		return nil, errReplica
	}
	return s, nil
}

// atReplica reports whether Redis says that it is a replica. In a cluster that does no harm: its
// replicas pass on to all nodes what is published. A Redis before version 6 does not say.
func (s *session) atReplica(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer, err := s.client.Do(ctx, s.client.B().Arbitrary("HELLO").Build()).AsMap()
	if err != nil {
		return false // it shows elsewhere if it matters
	}
	role, mode := answer["role"], answer["mode"]
	name, _ := role.ToString()
	kind, _ := mode.ToString()
	return (name == "replica" || name == "slave") && kind != "cluster"
}

// watch ends a session whose Redis becomes a replica, as a master does that comes back after a
// failover.
func (s *session) watch(ctx context.Context) error {
	look := time.NewTicker(roleInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			if s.atReplica(ctx) {
				return errReplica
			}
		}
	}
}

func (s *session) close() { s.client.Close() }

// try publishes where nobody listens.
func (s *session) try(ctx context.Context) error {
	return s.client.Do(ctx, s.client.B().Publish().Channel(s.relay.Channel+":check").Message("").Build()).Error()
}

// subscribe receives what is published, until the connection is lost.
func (s *session) subscribe(ctx context.Context, subscribed chan<- struct{}) error {
	ctx = rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) {
		select {
		case subscribed <- struct{}{}:
		default:
		}
	})
	err := s.client.Receive(ctx, s.client.B().Subscribe().Channel(s.relay.Channel).Build(), func(m rueidis.PubSubMessage) {
		s.relay.receive([]byte(m.Message))
	})
	if err == nil {
		err = errEnded
	}
	return fmt.Errorf("subscribe: %w", err)
}

// publish sends what is queued, until that fails.
func (s *session) publish(ctx context.Context) error {
	for {
		messages := s.relay.out.wait(ctx)
		if len(messages) == 0 {
			return ctx.Err()
		}
		commands := make(rueidis.Commands, 0, len(messages))
		for _, m := range messages {
			commands = append(commands, s.client.B().Publish().Channel(s.relay.Channel).Message(rueidis.BinaryString(m)).Build())
		}
		answering, cancel := context.WithTimeout(ctx, answerTimeout)
		results := s.client.DoMulti(answering, commands...)
		cancel()
		for _, result := range results {
			if err := result.Error(); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
		s.relay.counts.published.Add(uint64(len(messages)))
	}
}
