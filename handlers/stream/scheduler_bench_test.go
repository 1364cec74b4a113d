package stream

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// noHistory is a log that holds nothing.
type noHistory struct{}

func (noHistory) Owner(context.Context, string, eventlog.Position, int) (p eventlog.Page, err error) {
	return p, eventlog.ErrHistoryGone
}

func (noHistory) Reaches(context.Context, string, eventlog.Position) error {
	return eventlog.ErrHistoryGone
}

func (noHistory) Last(context.Context, string) (p eventlog.Position, err error) { return p, nil }

// BenchmarkRun measures the way of events that are published together through a run of
// each of a hundred sessions to their connections. Allocations are those of the events
// and their frames: a run has none.
func BenchmarkRun(b *testing.B) {
	const connections = 100
	message := make([]byte, 300)
	for _, together := range []int{1, 16} {
		b.Run(fmt.Sprintf("events=%d", together), func(b *testing.B) {
			stream := &Server{Bus: realtime.NewBus(noHistory{}), queue: newRunQueue(1)}
			stream.Bus.Reset(realtime.Encoder{Epoch: realtime.NewEpoch("bench"), Location: time.UTC}, 0)
			openSessions(b, stream, connections)
			var h batch
			var popped []*session
			events, batch := make([]*realtime.Event, together), int64(0)
			b.ReportAllocs()
			for b.Loop() {
				batch++
				for i := range events {
					at := eventlog.Position{Batch: batch, TxOrder: int64(i), ID: int64(i)}
					events[i] = &realtime.Event{Position: at, OwnerID: "7", Type: realtime.BookingCreated, JSON: message}
				}
				stream.Bus.Publish(events)
				for left := connections; left > 0; left -= len(popped) {
					popped = stream.queue.pop(popped)
					for _, s := range popped {
						runOnce(b, s, &h)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*connections*together), "ns/delivery")
		})
	}
}

// runOnce runs a session, and waits for its connection.
func runOnce(b *testing.B, s *session, h *batch) {
	s.state.Store(running)
	if s.advance(h) == blocked {
		if err := s.transport.flush(); err != nil {
			b.Fatal(err)
		}
	}
	s.park()
}

// openSessions opens sessions of one owner whose clients take everything.
func openSessions(b *testing.B, stream *Server, connections int) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	var clients sync.WaitGroup
	b.Cleanup(clients.Wait)
	for range connections {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		clients.Go(func() {
			io.Copy(io.Discard, client)
			client.Close()
		})
		conn, err := listener.Accept()
		if err != nil {
			b.Fatal(err)
		}
		ws := &webSocket{}
		ws.open(conn, time.Minute, time.Minute)
		s := &session{ownerID: "7", stream: stream, transport: ws}
		b.Cleanup(s.transport.abort)
		if _, err := stream.Bus.Subscribe(b.Context(), &s.sub, s, "7", ""); err != nil {
			b.Fatal(err)
		}
		s.state.Store(parked)
	}
}
