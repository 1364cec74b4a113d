package outbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

// digestLines is how many lines a digest has at most.
const digestLines = 20

// compose words a delivery. Names and amounts are told only to who wants that.
func (o *Outbox) compose(ctx context.Context, d db.OpenedDelivery) (Message, error) {
	details, err := o.Store.Details(ctx, d)
	if err != nil {
		return Message{}, fmt.Errorf("read what a notification is about: %w", err)
	}
	w := words.Of(d.Settings.Language)
	m := Message{
		ID: d.ID, UserID: d.UserID, OwnerID: d.OwnerID, Kind: d.Kind, Language: w.Language, Urgent: d.Severity >= urgent,
		Topic: topicOf(d), Expires: d.ExpiresAt, Unread: details.Unread, Device: d.Device,
		Address: details.Email, Name: line(details.Name), Link: o.link(d.NotificationID, d.ID, d.OwnerID),
	}
	switch {
	case d.IsDigest():
		err = o.composeDigest(ctx, d, w, &m)
	default:
		m.Title, m.Body, m.Short = o.say(w, d.Kind, d.Count, d.Settings.Private, details)
		if len(details.Waiting) > 0 && !disturbs(d, o.Now()) {
			m.Others = details.Waiting
			m.Body = joined(m.Body, fmt.Sprintf(w.More, len(m.Others)))
		}
	}
	if err != nil || d.Channel != db.ChannelMail || d.Locked {
		return m, err
	}
	m.Unsubscribe, err = o.unsubscribe(ctx, d)
	return m, err
}

// say returns the title and the body of a notification, and the title at its shortest. The body is
// what is private.
func (o *Outbox) say(w *words.Words, kind string, count int, private bool, about db.NotificationDetails) (title, body, short string) {
	short = w.Title(kind, count)
	in, out := about.CheckIn, about.CheckOut
	if !in.IsZero() {
		in = in.In(o.Location)
	}
	if !out.IsZero() {
		out = out.In(o.Location)
	}
	days := ""
	if count <= 1 {
		days = w.Days(in, out)
	}
	title = joined(short, line(about.HangarNumber), days)
	if private || count > 1 {
		return title, "", short
	}
	return title, joined(line(about.GuestName), w.Money(string(about.Amount))), short
}

// composeDigest writes what is unread and unseen at this moment.
func (o *Outbox) composeDigest(ctx context.Context, d db.OpenedDelivery, w *words.Words, m *Message) error {
	lines, more, err := o.Store.DigestLines(ctx, d, digestLines)
	if err != nil {
		return fmt.Errorf("read the lines of a digest: %w", err)
	}
	for _, l := range lines {
		title, body, _ := o.say(w, l.Kind, l.Count, d.Settings.Private, l.NotificationDetails)
		m.Lines = append(m.Lines, Line{title, body, o.link(l.NotificationID, d.ID, d.OwnerID)})
	}
	m.Kind = "digest"
	m.Title = w.DigestOfOne
	if n := len(lines) + more; n > 1 {
		m.Title = fmt.Sprintf(w.DigestTitle, n)
	}
	m.Short = m.Title
	if more > 0 {
		m.Body = fmt.Sprintf(w.More, more)
	}
	m.Link = o.link("", "", "")
	return nil
}

// link returns the page's address, at a notification of an account, "" for none. Where nobody said
// what it is, which only push can do without, it is a path: the worker is on the same server.
func (o *Outbox) link(notification, delivery, ownerID string) string {
	if notification == "" {
		return o.PublicURL + "/"
	}
	to := url.Values{"n": {notification}, "d": {delivery}}
	if ownerID != "" {
		to.Set("o", ownerID)
	}
	return o.PublicURL + "/?" + to.Encode()
}

// unsubscribe returns the address where these mails end, "" where nobody said what ours is.
func (o *Outbox) unsubscribe(ctx context.Context, d db.OpenedDelivery) (string, error) {
	if o.PublicURL == "" {
		return "", nil
	}
	token, err := o.Store.UnsubscribeToken(ctx, d.UserID, scopeOf(d))
	if err != nil {
		return "", fmt.Errorf("make a token to unsubscribe: %w", err)
	}
	return o.PublicURL + "/unsubscribe?t=" + token, nil
}

// scopeOf says what ends with one click in a mail: mails of this kind of this account, or digests.
func scopeOf(d db.OpenedDelivery) string {
	if d.IsDigest() {
		return db.ScopeDigest
	}
	return db.ScopeOfKind(d.OwnerID, d.Kind)
}

// topicOf names the group of a delivery for a push service, in letters and digits alone: some
// refuse others, which RFC 8030 allows.
func topicOf(d db.OpenedDelivery) string {
	sum := sha256.Sum256([]byte(d.OwnerID + "\x00" + d.UserID + "\x00" + cmp.Or(d.GroupKey, d.NotificationID)))
	return hex.EncodeToString(sum[:16])
}
