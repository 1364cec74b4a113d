// Package outbox sends what notifications are to tell their users elsewhere: it claims deliveries,
// decides at the moment of sending whether each is still wanted, words it, has a channel carry it,
// and notes how it ended.
//
// It promises at least once, within a delivery's time: a server that dies between sending and
// noting it leaves a delivery that is sent again, under the same id. It promises that nothing is
// sent to who may not see the account any more, nor at an hour that its user keeps quiet, whatever
// channel it is. It does not know SQL, nor how a channel carries a message.
package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

const (
	// workers is how many messages are being sent at once.
	workers = 16
	// claimed is how many deliveries one statement claims.
	claimed = 50
	// idlePause is how long to wait while nothing is due, and troubledPause while the database is
	// away.
	idlePause     = time.Second
	troubledPause = 5 * time.Second
	// mostAttempts is how often a delivery is tried at most. Its pauses end sooner: that many come
	// of one by which a server fails or dies each time, before it can say so.
	mostAttempts = 30
	// sendTime is the least of a lease that must be left for an attempt.
	sendTime = 30 * time.Second
	// prepareTime is for how much of that a delivery is read and worded at most. The rest is the
	// sender's: another server may send what is still on its way when the lease ends.
	prepareTime = 9 * time.Second
	// devicePause is the least time between two pushes to a device that are not urgent.
	devicePause = time.Minute
	// elsewherePause is how long a delivery is left to other servers at first, and elsewhereLongest
	// at most: in between a quarter of the time for which it has waited.
	elsewherePause   = 5 * time.Second
	elsewhereLongest = time.Hour
	// measurePause is how often the queue is measured, and pruneEvery after how many times a step
	// of what has ended long ago is removed: after a minute.
	measurePause = 15 * time.Second
	pruneEvery   = 4
)

// Store keeps the deliveries. db.Deliveries is one.
type Store interface {
	Claim(ctx context.Context, limit int) ([]db.ClaimedDelivery, error)
	Open(ctx context.Context, c db.ClaimedDelivery) (db.OpenedDelivery, error)
	Finish(ctx context.Context, c db.ClaimedDelivery, outcome db.Outcome, code int) error
	Retry(ctx context.Context, c db.ClaimedDelivery, at time.Time, code int) error
	Postpone(ctx context.Context, c db.ClaimedDelivery, at time.Time) error
	ReserveDevice(ctx context.Context, id string, gap time.Duration) (next time.Time, err error)
	Merge(ctx context.Context, numbers []int64) (merged int, err error)
	DeviceAnswered(ctx context.Context, device db.PushEndpoint, answer db.DeviceAnswer) error
	Details(ctx context.Context, d db.OpenedDelivery) (db.NotificationDetails, error)
	DigestLines(ctx context.Context, d db.OpenedDelivery, limit int) (lines []db.DigestLine, more int, err error)
	UnsubscribeToken(ctx context.Context, userID, scope string) (token string, err error)
	Queue(ctx context.Context) (db.Queue, error)
	Prune(ctx context.Context) error
}

// Outbox sends deliveries. It is a service of every server: which one claims a delivery sends it.
type Outbox struct {
	Store   Store
	Senders map[db.Channel]Sender // without an entry the channel is not set up
	// PublicURL is this server as its users reach it, without a slash at its end; "" where nobody
	// said: only push can do without.
	PublicURL string
	Location  *time.Location
	Now       func() time.Time
	// Pause is how long to wait while nothing is due; 0: a second.
	Pause time.Duration
	Log   *slog.Logger

	breakers breakers
	lanes    lanes
	stats    tally
}

// Run implements api.Service: it sends until ctx ends, and gives back what it has claimed and not
// begun to send.
func (o *Outbox) Run(ctx context.Context) error {
	queue := make(chan db.ClaimedDelivery, claimed)
	var group sync.WaitGroup
	defer group.Wait()
	defer close(queue)
	for range workers {
		group.Go(func() {
			defer crash.Report("outbox")
			for c := range queue {
				if ctx.Err() == nil {
					o.deliver(ctx, c)
				} else {
					o.release(ctx, c)
				}
			}
		})
	}
	group.Go(func() {
		defer crash.Report("outbox")
		o.measure(ctx)
	})
	for {
		// A claim that is cut off may be made all the same, and nobody would know.
		list, err := o.Store.Claim(context.WithoutCancel(ctx), claimed)
		pause := time.Duration(0)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			o.Log.Debug("deliveries could not be claimed; trying again", "error", err)
			pause = troubledPause
		case len(list) < claimed:
			pause = cmp.Or(o.Pause, idlePause)
		}
		for _, c := range list {
			select {
			case queue <- c:
			case <-ctx.Done():
				o.release(ctx, c)
			}
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// release gives a claimed delivery back to other servers, since this one stops.
func (o *Outbox) release(ctx context.Context, c db.ClaimedDelivery) {
	if err := o.Store.Postpone(context.WithoutCancel(ctx), c, o.Now()); err != nil && !errors.Is(err, db.ErrNotFound) {
		o.Log.Debug("a delivery was left to the end of its lease", "channel", c.Channel, "error", err)
	}
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, pause time.Duration) bool {
	if pause == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// deliver does with a claimed delivery what is to be done at this moment. What goes wrong leaves it
// to the end of its lease.
func (o *Outbox) deliver(ctx context.Context, c db.ClaimedDelivery) {
	err := o.attempt(ctx, c)
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, db.ErrNotFound):
		// of the last one another server has it by now
	default:
		o.Log.Warn("a delivery was left to another attempt", "channel", c.Channel, "error", err)
	}
}

func (o *Outbox) attempt(ctx context.Context, c db.ClaimedDelivery) error {
	if time.Until(c.Until) < sendTime {
		return o.Store.Postpone(ctx, c, o.Now())
	}
	if c.Attempts > mostAttempts {
		o.Log.Error("a delivery is given up: each attempt failed before its end could be noted", "channel", c.Channel, "delivery", c.ID)
		return o.finish(ctx, db.OpenedDelivery{ClaimedDelivery: c}, db.OutcomeRefused, 0)
	}
	preparing, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	d, err := o.Store.Open(preparing, c)
	if err != nil {
		return err
	}
	now := o.Now()
	v := Decide(d, now)
	sender := o.Senders[d.Channel]
	if sender == nil || d.OtherKey {
		v = o.elsewhere(d, v, now)
	}
	var m Message
	if v.Sends() {
		leave, later := o.lanes.enter(ctx, sender, sender.Host(Message{Device: d.Device}), o.Now)
		defer leave()
		if v.Later = later; v.Sends() {
			m, v, err = o.prepare(preparing, d, sender, now)
		} else if half := now.Add(d.ExpiresAt.Sub(now) / 2); half.Before(later) {
			v.Later = half // there are tries left before its end
		}
		if err != nil {
			return err
		}
	}
	switch {
	case v.Outcome != "":
		return o.finish(ctx, d, v.Outcome, 0)
	case !v.Sends():
		if v.Later.After(d.ExpiresAt) {
			return o.finish(ctx, d, db.OutcomeExpired, 0)
		}
		return o.Store.Postpone(ctx, c, v.Later)
	}
	result := sender.Send(ctx, m)
	if ctx.Err() != nil && result.Status != Sent {
		return ctx.Err() // cut off by a stop: nobody's fault
	}
	o.stats.attempt(d.Channel, result.Status)
	// What has happened is noted also while the server stops.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.QueryTimeout)
	defer cancel()
	return o.record(noting, d, m, result)
}

// elsewhere changes the verdict on a delivery that this server cannot send: it does not have the
// channel, or the device was added under another key. Other servers may, while settings change from
// one to the next or for as long as they differ, so it is left to them until its end. The attempts
// of those who can do not count less by that.
func (o *Outbox) elsewhere(d db.OpenedDelivery, v Verdict, now time.Time) Verdict {
	if !now.Before(d.ExpiresAt) && d.Attempts <= 1 { // this claim, and no attempt before it
		return ended(db.OutcomeNotSetUp)
	}
	if !v.Sends() {
		return v
	}
	lacks := lacksKey
	if o.Senders[d.Channel] == nil {
		lacks = lacksChannel
	}
	o.stats.leave(d.Channel, lacks)
	pause := min(max(now.Sub(d.CreatedAt)/4, elsewherePause), elsewhereLongest)
	later := now.Add(pause + rand.N(pause/4+1))
	if later.After(d.ExpiresAt) {
		later = d.ExpiresAt
	}
	return Verdict{Later: later}
}

// prepare words a delivery, unless it has to wait: for a host that takes nothing at present, or for
// a device that was called a moment ago.
func (o *Outbox) prepare(ctx context.Context, d db.OpenedDelivery, sender Sender, now time.Time) (m Message, v Verdict, err error) {
	if until := o.breakers.openUntil(sender.Host(Message{Device: d.Device}), now); !until.IsZero() {
		return m, Verdict{Later: until}, nil
	}
	if m, err = o.compose(ctx, d); err != nil {
		return m, v, err
	}
	switch {
	case d.Channel == db.ChannelMail && m.Address == "":
		return m, ended(db.OutcomeNoAddress), nil
	case d.IsDigest() && len(m.Lines) == 0:
		return m, ended(db.OutcomeEmpty), nil
	case d.Channel == db.ChannelPush && d.Severity < urgent:
		next, err := o.Store.ReserveDevice(ctx, d.Target, devicePause)
		if errors.Is(err, db.ErrNotFound) {
			return m, ended(db.OutcomeSignedOut), nil
		}
		if err != nil || !next.IsZero() {
			return m, Verdict{Later: next}, err
		}
	}
	return m, v, nil
}

// record notes how an attempt to send a message ended.
func (o *Outbox) record(ctx context.Context, d db.OpenedDelivery, m Message, r Result) error {
	now, host := o.Now(), o.Senders[d.Channel].Host(m)
	switch r.Status {
	case Sent:
		o.breakers.took(host, now)
		err := o.finish(ctx, d, db.OutcomeSent, r.Code)
		if err != nil || d.Channel != db.ChannelPush {
			return err
		}
		if len(m.Others) > 0 {
			var merged int
			merged, err = o.Store.Merge(ctx, m.Others)
			o.stats.ended(d.Channel, db.OutcomeMerged, merged)
		}
		return errors.Join(err, o.answered(ctx, d, db.DeviceTook))
	case Gone:
		err := o.Store.DeviceAnswered(ctx, d.Device, db.DeviceGone)
		if errors.Is(err, db.ErrConflict) { // its browser has told another endpoint meanwhile
			return o.Store.Retry(ctx, d.ClaimedDelivery, now, r.Code)
		}
		return errors.Join(err, o.finish(ctx, d, db.OutcomeGone, r.Code))
	case Refused, TooLarge:
		o.Log.Info("a message was refused", "channel", d.Channel, "host", host, "error", r.Err)
		err := o.finish(ctx, d, db.OutcomeRefused, r.Code)
		if d.Channel == db.ChannelPush {
			err = errors.Join(err, o.answered(ctx, d, db.DeviceRefused))
		}
		return err
	case Ours:
		o.refused(d, host, r)
	case Again:
		o.Log.Info("a message was not taken; trying again", "channel", d.Channel, "host", host, "error", r.Err)
		o.breakers.failed(host, now, r)
	}
	if d.Channel == db.ChannelPush {
		// nobody was called
		if err := o.answered(ctx, d, db.DeviceSilent); err != nil {
			return err
		}
	}
	again := backoff(now, d.ExpiresAt, d.Attempts, r.RetryAfter)
	if again.IsZero() {
		return o.finish(ctx, d, db.OutcomeExpired, r.Code)
	}
	return o.Store.Retry(ctx, d.ClaimedDelivery, again, r.Code)
}

// refused notes that the other side refuses what is ours, and tells the operators once.
func (o *Outbox) refused(d db.OpenedDelivery, host string, r Result) {
	user := ""
	if r.Doubtful {
		user = d.UserID
	}
	while := time.Duration(0) // a mail server may change its mind about us at any time
	if d.Channel == db.ChannelPush {
		while = takenTime
	}
	switch stopped, tell := o.breakers.refuse(host, user, o.Now(), while); {
	case tell && stopped:
		o.Log.Error("nothing can be sent: the other side refuses our key, password or address; see docs/operating.md",
			"channel", d.Channel, "host", host, "error", r.Err)
	case tell:
		o.Log.Warn("the other side refuses us for one user; nothing more is sent there if it refuses another one's too; see docs/operating.md",
			"channel", d.Channel, "host", host, "error", r.Err)
	}
}

// answered keeps what became of a message to a device. Of one that has another endpoint by now it
// says nothing.
func (o *Outbox) answered(ctx context.Context, d db.OpenedDelivery, answer db.DeviceAnswer) error {
	if err := o.Store.DeviceAnswered(ctx, d.Device, answer); !errors.Is(err, db.ErrConflict) {
		return err
	}
	return nil
}

// finish ends a delivery, unless another server has it by now.
func (o *Outbox) finish(ctx context.Context, d db.OpenedDelivery, outcome db.Outcome, code int) error {
	if err := o.Store.Finish(ctx, d.ClaimedDelivery, outcome, code); err != nil {
		return fmt.Errorf("note the end of a delivery: %w", err)
	}
	o.stats.ended(d.Channel, outcome, 1)
	return nil
}

// Test sends a message to one device at once, and says how that ended.
func (o *Outbox) Test(ctx context.Context, device db.PushEndpoint, language string) (Result, error) {
	sender := o.Senders[db.ChannelPush]
	if sender == nil {
		return Result{}, db.ErrNotFound
	}
	w := words.Of(language)
	m := Message{
		ID: "test", Language: w.Language, Title: w.TestTitle, Body: w.TestBody, Short: w.TestTitle, Link: o.link("", "", ""), Topic: "test",
		Urgent: true, Expires: o.Now().Add(time.Minute), Device: device,
	}
	r := sender.Send(ctx, m)
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	o.stats.attempt(db.ChannelPush, r.Status)
	answer, known := map[Status]db.DeviceAnswer{Sent: db.DeviceTook, Gone: db.DeviceGone, Refused: db.DeviceRefused}[r.Status]
	if r.Status == Ours { // told to the one who asked, and of no weight for others
		o.Log.Warn("a test was refused: the push service does not take our key for this device; see docs/operating.md",
			"host", sender.Host(m), "error", r.Err)
	}
	if !known {
		return r, nil
	}
	if err := o.Store.DeviceAnswered(context.WithoutCancel(ctx), device, answer); !errors.Is(err, db.ErrConflict) {
		return r, err
	}
	return r, nil
}
