package stream

import "runtime/debug"

// scavengeThreshold is how many connections must have come or gone before memory is released.
const scavengeThreshold = 1000

// scavenger gives memory back to the system after many connections have come or gone.
// Handshakes leave behind more than connections keep, and a server whose clients are
// quiet collects it only after minutes.
type scavenger struct {
	changes  int64 // connections that had come and gone at the last observation
	released int64 // and when memory was last released
	release  func()
}

func newScavenger() *scavenger { return &scavenger{release: debug.FreeOSMemory} }

// observe takes note of how many connections have come and gone so far. Memory is released when
// that number has stopped growing.
func (s *scavenger) observe(changes int64) {
	quiet := changes == s.changes
	s.changes = changes
	if quiet && changes-s.released >= scavengeThreshold {
		s.released = changes
		s.release()
	}
}
