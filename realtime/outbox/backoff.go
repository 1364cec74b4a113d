package outbox

import (
	"math/rand/v2"
	"time"
)

// pauses are those after the first failed attempt, the second, and so on. The last one repeats.
var pauses = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour}

// backoff returns when a delivery is tried again whose attempts have failed so far, or the zero
// time where its end comes sooner. atLeast is what the other side asked for. The pause is stretched
// by up to a quarter, so that what failed together does not come back together.
func backoff(now, expires time.Time, attempts int, atLeast time.Duration) time.Time {
	pause := pauses[min(max(attempts, 1), len(pauses))-1]
	pause += rand.N(pause/4 + 1)
	again := now.Add(max(pause, atLeast))
	if !again.Before(expires) {
		return time.Time{}
	}
	return again
}
