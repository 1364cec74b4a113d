package soak

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// received is an event as clients received it.
type received struct {
	id      string
	sum     uint64 // of its bytes: every client, transport and server must say the same
	kind    string
	ownerID string
	data    receivedData
	// when the transaction that made the booking began to commit; zero for other events
	committed time.Time
}

// receivedData are the fields of all types of event.
type receivedData struct {
	BookingID, HangarID, HangarNumber, GuestName string
	Amount                                       json.Number
	Duration                                     int
	CheckInDate, CheckOutDate, Status            string
	IsNowOccupied                                bool
}

// receivedEvents keeps each event of an owner once, however many clients received it.
type receivedEvents struct {
	ownerID string
	commits *commitTimes

	mu     sync.Mutex // guards what follows
	number map[string]int32
	list   []received
}

func newReceivedEvents(ownerID string, commits *commitTimes) *receivedEvents {
	return &receivedEvents{ownerID: ownerID, commits: commits, number: make(map[string]int32)}
}

// record returns the number of an event, and when it was committed. It returns an error when it is
// not what others were told.
func (l *receivedEvents) record(id string, text []byte) (n int32, committed time.Time, err error) {
	hash := fnv.New64a()
	hash.Write(text)
	sum := hash.Sum64()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, known := l.number[id]; known {
		if l.list[n].sum != sum {
			err = fmt.Errorf("event %s was told in two ways, the second is %s", id, text)
		}
		return n, l.list[n].committed, err
	}
	m := harness.ParseMessage(text)
	t := received{id: id, sum: sum, kind: m.Type, ownerID: m.OwnerID}
	if err := json.Unmarshal(m.Data, &t.data); err != nil {
		return 0, committed, fmt.Errorf("event %s: %w", text, err)
	}
	if t.kind == "booking_created" {
		t.committed = l.commits.pop(t.data.BookingID)
	}
	n = int32(len(l.list))
	l.list = append(l.list, t)
	l.number[id] = n
	return n, t.committed, nil
}

// establish reads the first message: the stream must begin after the last id, and nothing
// may be missing.
func (c *soakClient) establish(text []byte) error {
	m := harness.ParseMessage(text)
	if m.Type != "connection_established" {
		return fmt.Errorf("the first message is %s", text)
	}
	position := m.Field("lastEventId")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.Field("recovered") != "true":
		c.soak.report.resyncs.Add(1)
		return fmt.Errorf("after %q not recovered: %s", c.last, text)
	case c.last == "":
		c.first, c.last = position, position
	case position != c.last:
		return fmt.Errorf("came back after %s, the stream begins after %s", c.last, position)
	}
	return nil
}

// receive keeps a message.
func (c *soakClient) receive(text []byte, connected time.Time) {
	if id := harness.IDOf(text); id != "" {
		n, committed, err := c.owner.received.record(id, text)
		if err != nil {
			c.soak.fail("client %d: %v", c.number, err)
			return
		}
		c.mu.Lock()
		c.events = append(c.events, n)
		c.last = id
		c.mu.Unlock()
		c.soak.report.delivered.Add(1)
		if !c.slow && committed.After(connected) && c.soak.faultTimes.noneSince(committed) {
			c.soak.report.latency(time.Since(committed))
		}
		return
	}
	if !bytes.Contains(text[:min(len(text), 160)], []byte(`"ownerId":"`+c.owner.ID+`"`)) {
		c.soak.report.foreign.Add(1)
		c.soak.fail("client %d of owner %s was told %s", c.number, c.owner.ID, text)
	}
	switch {
	case harness.IsOf(text, "metrics_updated"):
		c.mu.Lock()
		c.metrics = text
		c.mu.Unlock()
	case harness.IsOf(text, "overview_updated"):
		c.mu.Lock()
		c.overview = text
		c.mu.Unlock()
	case harness.IsOf(text, "notifications_updated"):
		// The screens of accounts have a test of their own.
	case harness.IsOf(text, "heartbeat"):
		if at := harness.ParseMessage(text).Field("lastEventId"); at != c.position() {
			c.soak.fail("client %d holds %s, the heartbeat says %s", c.number, c.position(), at)
		}
	case harness.IsOf(text, "server_closing"):
		c.soak.report.goodbyes.Add(1)
	default: // resync among them: nothing was truncated, and nothing is old
		if harness.IsOf(text, "resync") {
			c.soak.report.resyncs.Add(1)
		}
		c.soak.fail("client %d was told %s", c.number, text)
	}
}

// ended looks at how a connection ended.
func (c *soakClient) ended(err error) {
	var end harness.CloseError
	if !errors.As(err, &end) {
		return
	}
	switch end.Code {
	case 4408:
		c.soak.report.tooSlow.Add(1)
	case 1001:
	default:
		c.soak.fail("client %d was %v", c.number, end)
	}
}
