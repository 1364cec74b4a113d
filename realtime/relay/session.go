package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"
)

const (
	// burstMessages and burstBytes bound what is published in one round trip.
	burstMessages = 256
	burstBytes    = 1 << 20
)

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
	return &session{relay: r, client: client}, nil
}

func (s *session) close() { s.client.Close() }

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
