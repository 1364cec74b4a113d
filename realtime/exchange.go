package realtime

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// maxParcel is how many bytes of content a parcel has at most through Redis. What is larger is
	// read from the log.
	maxParcel = 256 << 10
	// outgoing is how many parcels wait to be sent, and incoming how many wait to be read. What
	// comes on top is dropped: a server that misses it reads the log.
	outgoing = 256
	incoming = 256
)

// Notify sends a sealed message of at most Limit bytes to every other server.
type Notify struct {
	Send  func(ctx context.Context, message []byte) error
	Limit int
}

// Broadcast carries sealed messages to every other server, perhaps.
type Broadcast interface {
	// Publish queues a message, and reports whether there was room. It does not wait.
	Publish(sealed []byte) bool
	// Proven reports whether what is published arrives, as far as is known.
	Proven() bool
}

// Exchange carries numbered batches between the servers of an installation, so that only the one
// that numbers the log has to read it. It promises neither that a parcel arrives nor that it does
// so once or in order: a Feed finds out, and reads the log instead.
//
// Parcels go through Redis while that is proven, and as notifications of PostgreSQL otherwise.
type Exchange struct {
	Keys   *seal.Keyring
	Notify Notify
	Redis  Broadcast // may be nil; set before Run
	Log    *slog.Logger

	in        chan []byte
	out       chan []byte
	announced chan struct{} // there is a batch of which perhaps no parcel comes
	missed    chan struct{} // something came that could not be kept: the log is to be read
	head      atomic.Int64  // the newest batch that was published here
	failing   bool          // the last notification was not sent, which was logged

	sent, unsent, dropped, forged, repeated, applied atomic.Int64
}

// NewExchange returns an exchange that receives at once, and sends while it runs.
func NewExchange(keys *seal.Keyring, notify Notify, log *slog.Logger) *Exchange {
	return &Exchange{Keys: keys, Notify: notify, Log: log,
		in: make(chan []byte, incoming), out: make(chan []byte, outgoing), announced: make(chan struct{}, 1), missed: make(chan struct{}, 1)}
}

// Collect implements stats.Collector.
func (x *Exchange) Collect() []stats.Stat {
	const name, help = "hangarshare_parcels_total", "Batches that servers tell each other, by what became of them; " +
		"unsent: the others read the log."
	return []stats.Stat{
		stats.Counter(name, help, x.sent.Load()).With("outcome", "sent"),
		stats.Counter(name, help, x.unsent.Load()).With("outcome", "unsent"),
		stats.Counter(name, help, x.applied.Load()).With("outcome", "applied"),
		stats.Counter(name, help, x.repeated.Load()).With("outcome", "repeated"),
		stats.Counter(name, help, x.forged.Load()).With("outcome", "forged"),
		stats.Counter(name, help, x.dropped.Load()).With("outcome", "dropped"),
	}
}

// Receive keeps a sealed message of another server for the feed; nil is one that is spoilt. It does
// not block, and may be called by any goroutine.
func (x *Exchange) Receive(sealed []byte) {
	if len(sealed) == 0 {
		x.forged.Add(1)
		return
	}
	select {
	case x.in <- sealed:
	default:
		x.dropped.Add(1)
		signal(x.missed)
	}
}

// Announced says that another server has numbered a batch. It does not block.
func (x *Exchange) Announced() { signal(x.announced) }

// Heard says how far another server has come in the history of an epoch. It does not block.
func (x *Exchange) Heard(_ seal.EpochID, head int64) {
	if head > x.head.Load() {
		signal(x.announced)
	}
}

// signal makes a channel with room for one yield.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// throughRedis reports whether what is told goes through Redis.
func (x *Exchange) throughRedis() bool { return x.Redis != nil && x.Redis.Proven() }

// tell queues a batch for the other servers. It does not block.
func (x *Exchange) tell(epoch seal.EpochID, p eventlog.Parcel) {
	content := p.Encode()
	redis, limit := x.throughRedis(), x.Notify.Limit-seal.Overhead
	if redis {
		limit = maxParcel
	}
	if len(content) > limit {
		content = p.WithoutRows().Encode()
	}
	sealed, err := x.Keys.Seal(seal.Parcel, epoch, p.Batch, content, time.Now())
	if err != nil { // also the others go on without
		x.unsent.Add(1)
		return
	}
	if redis {
		if x.Redis.Publish(sealed) {
			x.sent.Add(1)
		} else {
			x.unsent.Add(1)
		}
		return
	}
	select {
	case x.out <- sealed:
	default:
		x.unsent.Add(1)
	}
}

// Run sends notifications until ctx ends, one after the other, in order.
func (x *Exchange) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case sealed := <-x.out:
			err := x.Notify.Send(ctx, sealed)
			if err == nil {
				x.sent.Add(1)
			} else if ctx.Err() == nil {
				x.unsent.Add(1)
				if !x.failing {
					x.Log.Warn("the other servers could not be told of a batch: they read the log each second", "error", err)
				}
			}
			x.failing = err != nil
		}
	}
}

// open reads a sealed message. ok is false for what is none of this installation.
func (x *Exchange) open(sealed []byte) (m seal.Message, ok bool) {
	m, err := x.Keys.Open(sealed, time.Now())
	if err != nil || m.Kind != seal.Parcel {
		if !errors.Is(err, seal.ErrVersion) { // a newer server is no forger
			x.forged.Add(1)
		}
		return m, false
	}
	return m, true
}
