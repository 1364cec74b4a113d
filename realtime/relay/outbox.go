package relay

import (
	"context"
	"sync"
)

const (
	// maxQueued and maxQueuedBytes bound the parcels that wait to be published.
	maxQueued      = 1024
	maxQueuedBytes = 16 << 20
)

// outbox holds what is to be published: parcels in order, and the newest heartbeat and counts,
// which go first.
type outbox struct {
	wake chan struct{}

	mu      sync.Mutex
	parcels [][]byte
	bytes   int
	urgent  [][]byte
}

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

// put queues a parcel, if there is room.
func (o *outbox) put(parcel []byte) bool {
	o.mu.Lock()
	fits := len(o.parcels) < maxQueued && o.bytes+len(parcel) <= maxQueuedBytes
	if fits {
		o.parcels, o.bytes = append(o.parcels, parcel), o.bytes+len(parcel)
	}
	o.mu.Unlock()
	o.ring()
	return fits
}

// putFirst queues a message before all parcels. Of those that nobody fetches a few are kept.
func (o *outbox) putFirst(message []byte) {
	o.mu.Lock()
	if len(o.urgent) == 2*gossipEvery {
		o.urgent = o.urgent[1:]
	}
	o.urgent = append(o.urgent, message)
	o.mu.Unlock()
	o.ring()
}

// clear drops everything: it is old when a new session begins.
func (o *outbox) clear() {
	o.mu.Lock()
	o.parcels, o.urgent, o.bytes = nil, nil, 0
	o.mu.Unlock()
}

func (o *outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// wait waits for messages and returns as many as are published at once; none when ctx has ended.
func (o *outbox) wait(ctx context.Context) [][]byte {
	for {
		if messages := o.next(); len(messages) > 0 {
			return messages
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		}
	}
}

func (o *outbox) next() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	messages, size := o.urgent, 0
	o.urgent = nil
	sent := 0
	for _, p := range o.parcels {
		if len(messages) >= burstMessages || size > 0 && size+len(p) > burstBytes {
			break
		}
		messages, size, sent = append(messages, p), size+len(p), sent+1
	}
	clear(o.parcels[:sent]) // what was sent is not kept alive
	if o.parcels, o.bytes = o.parcels[sent:], o.bytes-size; len(o.parcels) == 0 {
		o.parcels = nil
	}
	return messages
}
