package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/sender"
)

const (
	// testPause is the least time between two test messages of a user.
	testPause = 10 * time.Second
	// maxTesters bounds the users of whom it is known when they tested last.
	maxTesters = 4096
	// maxDeviceName is the most characters of a device's name.
	maxDeviceName = 60
)

// Push serves the devices to which messages go by web push (RFC 8030), each of which belongs to the
// session in which it was added.
type Push struct {
	Users   Users
	Devices *db.Deliveries
	Sender  *sender.Push // nil: web push is not set up
	Outbox  *outbox.Outbox
	Log     *slog.Logger

	mu     sync.Mutex // guards what follows
	tested *simplelru.LRU[string, time.Time]
}

// device is a device as its user gets it. What it is reached by is told to nobody.
type device struct {
	ID        string `json:"id"`
	Label     string `json:"label"`
	CreatedAt int64  `json:"createdAt"`
	LastOKAt  int64  `json:"lastOkAt,omitempty"`
	// Works is false for a device that has to be added again: its messages were refused, or our key
	// is another one.
	Works bool `json:"works"`
}

func (p *Push) deviceOf(d db.Device) device {
	out := device{ID: d.ID, Label: d.Label, CreatedAt: d.CreatedAt.UnixMilli(), Works: !d.DisabledAt.Valid && d.KeyID == p.Sender.Keys.ID()}
	if d.LastOKAt.Valid {
		out.LastOKAt = d.LastOKAt.Time.UnixMilli()
	}
	return out
}

// viewer returns who is asking, if their session has not ended and there is web push.
func (p *Push) viewer(ctx context.Context) (Viewer, error) {
	v, err := signedIn(ctx, p.Users)
	if err == nil && p.Sender == nil {
		err = notFound("this server sends no web push: its operator can set VAPID_PRIVATE_KEY and VAPID_SUBJECT")
	}
	return v, err
}

// Key answers with the public key that a browser subscribes by.
func (p *Push) Key(w http.ResponseWriter, r *http.Request) {
	if _, err := p.viewer(r.Context()); err != nil {
		RespondError(w, r, p.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, map[string]string{"key": p.Sender.Keys.Public(), "keyId": p.Sender.Keys.ID()})
}

// List answers with the caller's devices.
func (p *Push) List(w http.ResponseWriter, r *http.Request) {
	v, err := p.viewer(r.Context())
	var found []db.Device
	if err == nil {
		found, err = p.Devices.Devices(r.Context(), v.UserID)
	}
	if err != nil {
		RespondError(w, r, p.Log, err)
		return
	}
	list := make([]device, 0, len(found))
	for _, d := range found {
		list = append(list, p.deviceOf(d))
	}
	respondPrivate(w, r, p.Log, map[string]any{"subscriptions": list})
}

// Add keeps a device: 201 where it is new, 200 where it was there, 410 where it renews one that its
// user removed.
func (p *Push) Add(w http.ResponseWriter, r *http.Request) {
	added, isNew, err := p.add(r)
	if err != nil {
		RespondError(w, r, p.Log, err)
		return
	}
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	RespondJSON(w, status, p.deviceOf(added))
}

func (p *Push) add(r *http.Request) (added db.Device, isNew bool, err error) {
	v, err := p.viewer(r.Context())
	if err != nil {
		return added, false, err
	}
	var body struct {
		Endpoint, Label string
		Keys            struct{ P256dh, Auth string }
		Renews          *string
	}
	if err := readBody(r, &body, `a PushSubscription: {"endpoint":"…","keys":{"p256dh":"…","auth":"…"},"label":"…"}`); err != nil {
		return added, false, err
	}
	endpoint, field, err := p.Sender.CheckSubscription(sender.Subscription{Endpoint: body.Endpoint, P256dh: body.Keys.P256dh, Auth: body.Keys.Auth})
	if err != nil {
		return added, false, Invalid(field, err.Error())
	}
	endpoint.SessionID = v.SessionID
	return p.Devices.AddDevice(r.Context(), db.Device{UserID: v.UserID, Label: labelOf(body.Label), PushEndpoint: endpoint}, body.Renews)
}

// labelOf returns a device's name as it is kept: a line of text.
func labelOf(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	if runes := []rune(strings.TrimSpace(text)); len(runes) > maxDeviceName {
		return string(runes[:maxDeviceName])
	}
	return strings.TrimSpace(text)
}

// Remove forgets a device of the caller's.
func (p *Push) Remove(w http.ResponseWriter, r *http.Request) {
	v, err := p.viewer(r.Context())
	if err == nil {
		err = p.Devices.RemoveDevice(r.Context(), v.UserID, r.PathValue("subscriptionId"))
	}
	if err != nil {
		RespondError(w, r, p.Log, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// testResults are the words for how a test ended.
var testResults = map[outbox.Status]string{
	outbox.Sent: "sent", outbox.Again: "unavailable", outbox.Gone: "gone", outbox.Ours: "misconfigured", outbox.Refused: "refused", outbox.TooLarge: "refused",
}

// Test sends a message to one of the caller's devices at once, and answers what its push service
// said to it.
func (p *Push) Test(w http.ResponseWriter, r *http.Request) {
	result, err := p.test(r)
	if err != nil {
		RespondError(w, r, p.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, map[string]any{"result": testResults[result.Status], "code": result.Code})
}

func (p *Push) test(r *http.Request) (outbox.Result, error) {
	v, err := p.viewer(r.Context())
	if err != nil {
		return outbox.Result{}, err
	}
	var body struct{ ID, Language string }
	if err := readBody(r, &body, `{"id":"…","language":"pt-BR"}`); err != nil {
		return outbox.Result{}, err
	}
	devices, err := p.Devices.Devices(r.Context(), v.UserID)
	if err != nil {
		return outbox.Result{}, err
	}
	for _, d := range devices {
		if d.ID != body.ID {
			continue
		}
		if wait := p.waits(v.UserID, time.Now()); wait > 0 {
			return outbox.Result{}, &LimitError{"one test in ten seconds: wait before the next", wait}
		}
		return p.Outbox.Test(r.Context(), d.PushEndpoint, body.Language)
	}
	return outbox.Result{}, Invalid("id", "id is none of your devices")
}

// waits counts a test of a user, or says how long they must wait before the next.
func (p *Push) waits(userID string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tested == nil {
		p.tested, _ = simplelru.NewLRU[string, time.Time](maxTesters, nil)
	}
	if last, ok := p.tested.Get(userID); ok && now.Sub(last) < testPause {
		return testPause - now.Sub(last)
	}
	p.tested.Add(userID, now)
	return 0
}
