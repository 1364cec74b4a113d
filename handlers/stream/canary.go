package stream

import (
	"net"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// canaryRetry is the pause before the server's own session is tried again.
const canaryRetry = time.Second

// canary is the transport of a session of the server's own: it measures when what lies in the log
// comes to a session, by the same way as to a browser's.
type canary struct{ measures *realtime.Measures }

func (c canary) frame(e *realtime.Event) []byte {
	c.measures.Handed(e)
	return nil
}

func (canary) tryWrite(net.Buffers) (bool, error) { return true, nil }
func (canary) flush() error                       { return nil }
func (canary) ping()                              {}
func (canary) lastRead() time.Time                { return time.Time{} }
func (canary) lastAck() time.Time                 { return time.Time{} }
func (canary) close(Disconnect)                   {}
func (canary) abort()                             {}

// runCanary keeps a session of the server's own until the stream is shut down. It is counted
// nowhere.
func (s *Server) runCanary() {
	defer crash.Report("canary")
	select {
	case <-s.Bus.Ready():
	case <-s.ctx.Done():
		return
	}
	session := &session{ownerID: realtime.CanaryOwner, stream: s, release: func() {}, done: make(chan struct{}), transport: canary{s.Measures}}
	for {
		_, err := s.Bus.Subscribe(s.ctx, &session.sub, session, session.ownerID, "")
		if err == nil {
			break
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(canaryRetry):
		}
	}
	session.schedule()
	<-s.ctx.Done()
	session.end(goingAway)
	<-session.done
}
