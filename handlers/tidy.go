package handlers

import "runtime/debug"

// crowd is how many connections must have come or gone before what they left behind is given back.
const crowd = 1000

// tidy gives memory back to the system when a crowd has come or gone. Handshakes leave behind more than connections keep,
// and a server whose clients are quiet has no reason of its own to collect it for minutes.
type tidy struct {
	changes int64 // connections that had come and gone when last looked at
	done    int64 // and when memory was last given back
	release func()
}

func newTidy() *tidy { return &tidy{release: debug.FreeOSMemory} }

// look is told how many connections have come and gone so far.
func (t *tidy) look(changes int64) {
	quiet := changes == t.changes
	t.changes = changes
	if quiet && changes-t.done >= crowd {
		t.done = changes
		t.release()
	}
}
