package handlers

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// noHistory is a log that holds nothing.
type noHistory struct{}

func (noHistory) Owner(context.Context, string, db.Position, int) ([]db.Change, bool, error) {
	return nil, false, db.ErrHistoryGone
}

func (noHistory) Last(context.Context, string) (p db.Position, err error) { return p, nil }

// BenchmarkTurn measures the way of events that are published together through a turn of each of a hundred sessions to
// their connections. Allocations are those of the events and their frames: a turn has none.
func BenchmarkTurn(b *testing.B) {
	const connections = 100
	message := make([]byte, 300)
	for _, together := range []int{1, 16} {
		b.Run(fmt.Sprintf("events=%d", together), func(b *testing.B) {
			stream := &Stream{Bus: realtime.NewBus(noHistory{}), queue: newQueue(1)}
			stream.Bus.Begin(realtime.Encoder{Epoch: realtime.NewEpoch("bench"), Location: time.UTC}, 0)
			openSessions(b, stream, connections)
			var h hand
			var turns []*session
			events, batch := make([]*realtime.Event, together), int64(0)
			b.ReportAllocs()
			for b.Loop() {
				batch++
				for i := range events {
					at := db.Position{Batch: batch, Turn: int64(i), ID: int64(i)}
					events[i] = &realtime.Event{Position: at, OwnerID: "7", Type: realtime.BookingCreated, JSON: message}
				}
				stream.Bus.Publish(events)
				for left := connections; left > 0; left -= len(turns) {
					turns = stream.queue.pop(turns)
					for _, s := range turns {
						turn(b, s, &h)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*connections*together), "ns/delivery")
		})
	}
}

// turn is a session's turn, which here also waits for its connection.
func turn(b *testing.B, s *session, h *hand) {
	s.turn.Store(running)
	if s.advance(h) == mustWait {
		if err := s.transport.flush(time.Now().Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	s.rest()
}

// openSessions opens sessions of one owner whose clients take everything.
func openSessions(b *testing.B, stream *Stream, connections int) {
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
		ws.open(conn, time.Minute)
		s := &session{ownerID: "7", stream: stream, transport: ws}
		b.Cleanup(s.transport.abort)
		if _, err := stream.Bus.Subscribe(b.Context(), &s.sub, s, "7", ""); err != nil {
			b.Fatal(err)
		}
		s.turn.Store(resting)
	}
}
