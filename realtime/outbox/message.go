package outbox

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Message is what leaves the house, in words, for one user by one channel.
type Message struct {
	// ID is the delivery's: the same on a repeat.
	ID       string
	UserID   string
	OwnerID  string
	Kind     string
	Language string
	// Title and Body are a line each. Short is the title without what only makes it longer.
	Title, Body, Short string
	// Lines are those of a digest.
	Lines []Line
	// Link leads to the page, Unsubscribe to where these messages end; "" for what cannot be
	// switched off.
	Link, Unsubscribe string
	// Topic has a push service replace an earlier message of the same group: letters and digits.
	Topic string
	// Urgent is for what must not wait for a device to wake up by itself.
	Urgent bool
	// Expires is until when the message is worth anything.
	Expires time.Time
	// Unread is how many notifications of the account are unread.
	Unread int
	// Others are the numbers of deliveries that it tells of too.
	Others []int64

	Device  db.PushEndpoint // of push
	Address string          // of mail
	Name    string          // of whom the mail is for
}

// Line is one notification in a digest.
type Line struct{ Title, Body, Link string }

// Status is how an attempt to send ended.
type Status int

// How an attempt to send may end.
const (
	// Sent: the other side has taken it.
	Sent Status = iota
	// Again: it may work later.
	Again
	// TooLarge: it may work with the short text.
	TooLarge
	// Gone: the device is no more.
	Gone
	// Ours: the other side does not take anything from us: a key, a password or an address of ours
	// is wrong.
	Ours
	// Refused: the other side does not take this one.
	Refused
)

// Result is how an attempt to send ended. Code is the other side's, 0 where it gave none; Err is
// for the log and names nobody.
type Result struct {
	Status     Status
	Code       int
	RetryAfter time.Duration // 0 where the other side did not say
	// Doubtful says of Ours that this one device or address may be to blame instead. Nothing is
	// stopped before another user's is refused too.
	Doubtful bool
	Err      error
}

// Sender carries messages by one channel. It is called by many at once.
type Sender interface {
	// Host names what the message goes through: what is wrong with one of its messages may be
	// wrong with all.
	Host(m Message) string
	// Send tries once, for less than half a minute.
	Send(ctx context.Context, m Message) Result
}

// Bounded is a Sender whose hosts take only so many messages at a time.
type Bounded interface {
	Sender
	AtOnce() int
}
