package outbox

import (
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// pushWait is how long a push waits, so that who is at the screen is not called.
	pushWait = 20 * time.Second
	// urgent is the severity that neither waits nor respects quiet hours.
	urgent = db.SeverityUrgent
)

// Verdict is what is to be done with a delivery at this moment: it is sent, or waits until Later,
// or ends with Outcome. The zero Verdict sends.
type Verdict struct {
	Later   time.Time
	Outcome db.Outcome
}

// Sends reports whether the delivery is to be sent now.
func (v Verdict) Sends() bool { return v == Verdict{} }

// ended is a verdict that ends a delivery without sending it.
func ended(outcome db.Outcome) Verdict { return Verdict{Outcome: outcome} }

// Decide says what is to be done with a delivery at the instant now. It is the one place that
// knows quiet hours, pause, preferences and membership, for every channel; it is asked right before
// each attempt, because all of these change while a delivery waits.
//
// What does not wait for its user (a new sign-in, a change of members) is sent in spite of
// preference, quiet hours and pause: who took over an account must not be able to silence it.
func Decide(d db.OpenedDelivery, now time.Time) Verdict {
	switch {
	case !now.Before(d.ExpiresAt):
		return ended(db.OutcomeExpired)
	case d.Ended || d.Channel == db.ChannelPush && !d.Subscribed:
		return ended(db.OutcomeSignedOut)
	case d.Personal == "" && d.Role == "", d.Personal != "" && d.Personal != d.UserID:
		return ended(db.OutcomeNoMember)
	case d.Personal == "" && d.Early && !d.IsDigest():
		// They were removed and added again while it waited: what was before is not sent after all.
		return ended(db.OutcomeNoMember)
	case !d.IsDigest() && d.Read:
		return ended(db.OutcomeRead)
	case !d.IsDigest() && d.Resolved:
		return ended(db.OutcomeResolved)
	case d.Locked:
		return Verdict{}
	case d.IsDigest() && d.Settings.Digest == db.DigestOff, !d.IsDigest() && d.Mode != db.ModeNow:
		return ended(db.OutcomeOff)
	}
	later := now
	if d.Settings.PausedUntil.After(later) {
		later = d.Settings.PausedUntil
	}
	if d.Severity < urgent || d.IsDigest() {
		if d.Channel == db.ChannelPush && d.CreatedAt.Add(pushWait).After(later) {
			later = d.CreatedAt.Add(pushWait)
		}
		later = d.Quiet.End(later)
	}
	switch {
	case !later.After(now):
		return Verdict{}
	case !later.Before(d.ExpiresAt):
		return ended(db.OutcomeExpired)
	}
	return Verdict{Later: later}
}

// disturbs reports whether a delivery is sent at the instant now although its user is not to be
// called: others of theirs wait until they may be.
func disturbs(d db.OpenedDelivery, now time.Time) bool {
	return d.Settings.PausedUntil.After(now) || d.Quiet.End(now).After(now)
}
