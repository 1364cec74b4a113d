package handlers

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// StartTimeout is how long a request waits for a server that has just begun to read the log. That
// takes a moment; an EventSource that was refused meanwhile would never come back.
const StartTimeout = 5 * time.Second

// AwaitBus waits until a bus has begun. Its error is realtime.ErrNotReady, also where the request
// ends meanwhile: a client that has only closed its side for sending still reads the answer.
func AwaitBus(ctx context.Context, bus *realtime.Bus) error {
	select {
	case <-bus.Ready():
		return nil
	default:
	}
	late := time.NewTimer(StartTimeout)
	defer late.Stop()
	select {
	case <-bus.Ready():
		return nil
	case <-ctx.Done():
	case <-late.C:
	}
	return realtime.ErrNotReady
}
