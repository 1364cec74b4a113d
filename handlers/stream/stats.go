package stream

import (
	"errors"
	"net"
	"strconv"
	"sync/atomic"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// transportNames are the transports by their number, see framesOf.
var transportNames = [2]string{"websocket", "sse"}

// endings are how connections end, as codes of the label; the last two have none.
var endings = []string{"1000", "1001", "1002", "1007", "1009", "1013", "4400", "4401", "4403", "4408", "4429", "client", "lost"}

// Outcomes of coming back with a position.
const (
	outcomeRecovered = iota
	outcomeResync
	outcomeOtherEpoch
	outcomeGarbage
	outcomes
)

var outcomeNames = [outcomes]string{"recovered", "resync", "other_epoch", "garbage"}

// counts are what a Server counts of its connections.
type counts struct {
	open    [2]atomic.Int64
	ended   [2][13]atomic.Int64 // by transport and ending
	resumed [outcomes]atomic.Int64
	bytes   atomic.Int64
}

// transportOf returns the number of a transport.
func transportOf(t transport) int {
	if _, ok := t.(*webSocket); ok {
		return 0
	}
	return 1
}

// countEnd counts how a connection ended.
func (c *counts) countEnd(t transport, d Disconnect) {
	name := strconv.Itoa(int(d.Code))
	switch {
	case d == connectionLost:
		name = "lost"
	case d.Code == 0:
		name = "client"
	}
	for i, ending := range endings {
		if ending == name {
			c.ended[transportOf(t)][i].Add(1)
		}
	}
}

// countResume counts what became of a position that a client brought.
func (s *Server) countResume(ownerID, lastEventID string, recovered bool, err error) {
	if lastEventID == "" {
		return
	}
	outcome := outcomeResync
	switch _, wrong := s.Bus.Encoder().Epoch.Parse(ownerID, lastEventID); {
	case errors.Is(wrong, realtime.ErrOtherEpoch):
		outcome = outcomeOtherEpoch
	case wrong != nil:
		outcome = outcomeGarbage
	case recovered:
		outcome = outcomeRecovered
	case err != nil:
		return // the log was away: it is tried again
	}
	s.counts.resumed[outcome].Add(1)
}

// countBytes counts what is about to be written.
func (s *Server) countBytes(frames net.Buffers) {
	n := 0
	for _, frame := range frames {
		n += len(frame)
	}
	s.counts.bytes.Add(int64(n))
}

// Collect implements stats.Collector. It does not look at the sessions.
func (s *Server) Collect() []stats.Stat {
	list := []stats.Stat{
		stats.Counter("hangarshare_connections_opened_total", "Connections opened since the start.", s.opened.Load()),
		stats.Counter("hangarshare_messages_delivered_total", "Events and metrics handed to connections.", s.delivered.Load()),
		stats.Counter("hangarshare_connections_too_slow_total", "Connections cut with 4408.", s.tooSlow.Load()),
		stats.Counter("hangarshare_sent_bytes_total", "Bytes of messages handed to connections, with their frames.", s.counts.bytes.Load()),
		stats.Counter(handlers.RefusedName, handlers.RefusedHelp, s.refusedFull.Load()).With("limit", "memory"),
	}
	for i, name := range transportNames {
		list = append(list, stats.Gauge("hangarshare_connections", "Connections open now.", float64(s.counts.open[i].Load())).With("transport", name))
		for j, ending := range endings {
			list = append(list, stats.Counter("hangarshare_close_total",
				"Connections that ended, by close code; client: by the client, lost: without a word.", s.counts.ended[i][j].Load()).
				With("transport", name, "code", ending))
		}
	}
	for i, name := range outcomeNames {
		list = append(list, stats.Counter("hangarshare_resume_total",
			"Clients that came back with a position, by what became of it.", s.counts.resumed[i].Load()).With("outcome", name))
	}
	return list
}
