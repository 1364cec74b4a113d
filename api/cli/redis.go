package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay"
)

// address returns where Redis is; nil where none is used.
func (r *redisSettings) address() (*relay.Address, error) {
	files := relay.Files{CA: r.RedisCAFile, Cert: r.RedisCertFile, Key: r.RedisKeyFile}
	if r.RedisURL != "" {
		return relay.ParseAddress(r.RedisURL, files)
	}
	if files != (relay.Files{}) {
		return nil, errors.New("REDIS_CA_FILE, REDIS_CERT_FILE and REDIS_KEY_FILE need REDIS_URL: the Redis that they are for")
	}
	return nil, nil
}

// listenLessAfter is for how long Redis has to be proven before a server relies on others to listen
// in PostgreSQL for it.
const listenLessAfter = 5 * time.Second

// cluster is what a server has to do with the others of its installation.
type cluster struct {
	redis   *relay.Address // nil: they meet in PostgreSQL alone
	limiter *api.Limiter
}

// join connects a server to the others through Redis. A Redis that is away is waited for while the
// server serves; one that refuses user or password is an error.
func (c cluster) join(ctx context.Context, server *api.Server, listener *db.Listener, feed *realtime.Feed, exchange *realtime.Exchange, schema string, log *slog.Logger) error {
	keys := exchange.Keys
	state := func() relay.State {
		p := feed.Progress()
		return relay.State{Epoch: keys.EpochID(p.Epoch), Head: p.Head, Leading: p.Leading}
	}
	r := relay.New(relay.Options{
		Address: c.redis, Channel: relay.Channel(keys, schema), Keys: keys, State: state,
		Heard: func(epoch seal.EpochID, head int64) {
			if epoch == state().Epoch { // a copy of the database may have servers on the same Redis
				exchange.Heard(epoch, head)
			}
		},
		Receive: exchange.Receive, Counts: c.limiter.Shared, Log: log,
	})
	exchange.Redis = r
	listener.Relieved = func() bool { return r.ProvenFor() >= listenLessAfter && r.Relieved() }
	if err := r.Check(ctx); errors.Is(err, relay.ErrRefused) {
		return err
	}
	c.limiter.Others = r
	server.Operations.Members = func() (list []api.MemberState) {
		for _, m := range r.Members() {
			list = append(list, api.MemberState{ID: m.ID, Leader: m.Leading, Head: m.Head, Heard: m.Heard})
		}
		return list
	}
	server.Hints = map[string]func() bool{"redis": r.Proven}
	// A follower that Redis tells of batches serves as well while nothing reaches its listener.
	server.Checks["listener"] = func() bool { return listener.Proven() || r.Proven() && !feed.Progress().Leading }
	server.Services = append(server.Services, r)
	return nil
}

// checkRedis connects as a server would and tells what stands in the way. A Redis that is away is
// no obstacle: servers do without it.
func (c *checkCommand) checkRedis(ctx context.Context, f *findings) {
	address, err := c.address()
	if err != nil {
		f.mend("%v", err)
		return
	}
	if address == nil {
		return
	}
	secret := make([]byte, seal.SecretSize)
	rand.Read(secret)
	keys, err := seal.New(secret)
	if err != nil {
		f.mend("%v", err)
		return
	}
	err = relay.New(relay.Options{Address: address, Channel: relay.Channel(keys, "check"), Keys: keys, Log: slog.New(slog.DiscardHandler)}).Check(ctx)
	switch {
	case errors.Is(err, relay.ErrRefused):
		f.mend("%v", err)
	case err != nil:
		f.warn("servers would go on without Redis: %v", err)
	default:
		f.good("Redis at %v takes subscriptions", address)
	}
}
