package sender

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

const (
	// padStep is to what a message is padded: its length tells less.
	padStep = 512
	// overhead is what encryption adds: header, key, delimiter and tag (RFC 8188, section 2).
	overhead = 16 + 4 + 1 + 65 + 1 + 16
	// maxPush is the most bytes of a message that every push service takes (RFC 8030, section 7.2).
	maxPush = 4096
	// MaxText is the most bytes of its text.
	MaxText = maxPush - overhead
	// maxAnswer is how much of an answer's body is read, and answerTime for how long, so that the
	// connection serves again. Beyond that it is ended.
	maxAnswer  = 4 << 10
	answerTime = time.Second
)

// VAPID is the key pair by which push services know this installation (RFC 8292).
type VAPID struct {
	private, public string
	subject         string
}

// NewVAPIDKey returns a new private key, as VAPID_PRIVATE_KEY takes it, and its public key. The
// private one does not begin with a hyphen: on a command line that would be another flag.
func NewVAPIDKey() (private, public string, err error) {
	for {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return "", "", fmt.Errorf("make a key for web push: %w", err)
		}
		if private = base64.RawURLEncoding.EncodeToString(key.Bytes()); private[0] != '-' {
			return private, base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()), nil
		}
	}
}

// NewVAPID returns the pair of a private key in base64url, 32 bytes of P-256. subject is where the
// operators of push services may reach ours: mailto: with an address, or an https URL, both of a
// name that the public network may have. Apple's refuses everything else with a 403.
func NewVAPID(private, subject string) (*VAPID, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(private, "="))
	if err != nil {
		return nil, errors.New("VAPID_PRIVATE_KEY is no base64url: take what `hangarshare vapid` prints")
	}
	if _, err := ecdh.P256().NewPublicKey(raw); err == nil {
		return nil, errors.New("VAPID_PRIVATE_KEY is a public key: take what `hangarshare vapid` prints after VAPID_PRIVATE_KEY=")
	}
	key, err := ecdh.P256().NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("VAPID_PRIVATE_KEY has %d bytes that are no private key of P-256: take what `hangarshare vapid` prints", len(raw))
	}
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	return &VAPID{
		private: base64.RawURLEncoding.EncodeToString(raw), subject: subject,
		public: base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
	}, nil
}

// Public returns the public key in base64url: a browser's applicationServerKey.
func (v *VAPID) Public() string { return v.public }

// ID names the key pair.
func (v *VAPID) ID() string {
	sum := sha256.Sum256([]byte(v.public))
	return hex.EncodeToString(sum[:8])
}

// checkSubject refuses what push services do not take as a contact.
func checkSubject(subject string) error {
	wrong := errors.New("VAPID_SUBJECT must be mailto: with a real address, or an https address, like mailto:ops@your-portal.com.br: push services refuse any other")
	if strings.TrimSpace(subject) != subject || strings.ContainsAny(subject, "<>\" ") {
		return wrong
	}
	if address, ok := strings.CutPrefix(subject, "mailto:"); ok {
		parsed, err := mail.ParseAddress(address)
		if err != nil || parsed.Address != address || !publicName(address[strings.LastIndexByte(address, '@')+1:]) {
			return wrong
		}
		return nil
	}
	u, err := url.Parse(subject)
	if err != nil || u.Scheme != "https" || u.User != nil || !publicName(u.Hostname()) {
		return wrong
	}
	return nil
}

// publicName reports whether a host may be one of the public network: no address, no name without a
// domain, none of those that are kept for other ends (RFC 6761, RFC 6762, RFC 8375).
func publicName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	top := host[strings.LastIndexByte(host, '.')+1:]
	if top == host || top == "" || net.ParseIP(host) != nil {
		return false
	}
	switch top {
	case "localhost", "local", "internal", "invalid", "example", "test", "arpa", "lan", "home", "corp":
		return false
	}
	return strings.ContainsFunc(top, func(r rune) bool { return r < '0' || r > '9' })
}

// Push carries messages to push services, encrypted for one device (RFC 8030, RFC 8188, RFC 8291).
type Push struct {
	Keys   *VAPID
	Hosts  *Hosts
	Client *http.Client
}

// Subscription is a device as its browser tells it, in base64url.
type Subscription struct{ Endpoint, P256dh, Auth string }

// CheckSubscription returns where a device gets messages, or which field is wrong and why: nothing
// can be sent to it.
func (p *Push) CheckSubscription(s Subscription) (device db.PushEndpoint, field string, err error) {
	device = db.PushEndpoint{Endpoint: s.Endpoint, KeyID: p.Keys.ID()}
	if _, err := p.Hosts.Check(s.Endpoint); err != nil {
		return device, "endpoint", err
	}
	if device.P256dh, err = decodeKey(s.P256dh); err != nil || !isPoint(device.P256dh) {
		return device, "p256dh", errors.New("p256dh is no public key of P-256 in base64url")
	}
	if device.Auth, err = decodeKey(s.Auth); err != nil || len(device.Auth) != 16 {
		return device, "auth", errors.New("auth must be 16 bytes in base64url")
	}
	return device, "", nil
}

// decodeKey decodes base64url with or without padding.
func decodeKey(text string) ([]byte, error) {
	return base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
}

func encodeKey(key []byte) string { return base64.RawURLEncoding.EncodeToString(key) }

// isPoint reports whether bytes are a point of P-256, written without compression.
func isPoint(key []byte) bool {
	_, err := ecdh.P256().NewPublicKey(key)
	return err == nil && len(key) == 65
}

// AtOnce implements outbox.Bounded: a push service that takes its time leaves room for others and
// for mail.
func (*Push) AtOnce() int { return pushAtOnce }

// Host implements outbox.Sender.
func (p *Push) Host(m outbox.Message) string {
	u, err := url.Parse(m.Device.Endpoint)
	if err != nil {
		return ""
	}
	return withPort(u)
}

// payload is what a device gets. Its form is that of Declarative Web Push, which Safari 18.4 shows
// without our worker; the worker reads the same.
type payload struct {
	WebPush      int                 `json:"web_push"`
	Notification payloadNotification `json:"notification"`
}

type payloadNotification struct {
	Title    string `json:"title"`
	Body     string `json:"body,omitempty"`
	Language string `json:"lang,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Navigate string `json:"navigate,omitempty"`
	Badge    string `json:"app_badge,omitempty"`
}

// text returns the payload of a message, with the short text if short.
func text(m outbox.Message, short bool) ([]byte, error) {
	n := payloadNotification{Title: m.Title, Body: m.Body, Language: m.Language, Tag: m.Topic, Navigate: m.Link}
	if m.Unread > 0 {
		n.Badge = strconv.Itoa(m.Unread)
	}
	if short {
		n.Title, n.Body = m.Short, ""
	}
	return json.Marshal(payload{8030, n})
}

// Send implements outbox.Sender. A message that is too large for the push service is sent once more
// with its short text.
func (p *Push) Send(ctx context.Context, m outbox.Message) outbox.Result {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	result := p.send(ctx, m, false)
	if result.Status == outbox.TooLarge {
		if result = p.send(ctx, m, true); result.Status == outbox.TooLarge {
			result.Status = outbox.Refused
		}
	}
	return result
}

func (p *Push) send(ctx context.Context, m outbox.Message, short bool) outbox.Result {
	if _, err := p.Hosts.Check(m.Device.Endpoint); err != nil {
		return outbox.Result{Status: outbox.Refused, Err: errors.New("the push service is not allowed any more")}
	}
	body, err := text(m, short)
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: err}
	}
	if len(body) > MaxText {
		return outbox.Result{Status: outbox.TooLarge, Err: errors.New("the text is longer than a push may be")}
	}
	urgency := webpush.UrgencyNormal // low does not reach iOS
	if m.Urgent {
		urgency = webpush.UrgencyHigh
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := min((len(body)+overhead+padStep-1)/padStep*padStep, maxPush)
	response, err := webpush.SendNotificationWithContext(ctx, body,
		&webpush.Subscription{Endpoint: m.Device.Endpoint, Keys: webpush.Keys{Auth: encodeKey(m.Device.Auth), P256dh: encodeKey(m.Device.P256dh)}},
		&webpush.Options{
			HTTPClient: p.Client, RecordSize: uint32(size), Topic: m.Topic, Urgency: urgency,
			// Of Windows' service 0 conflicts with what it takes for granted, and is refused.
			TTL: max(1, int(time.Until(m.Expires).Seconds())),
			// the library puts mailto: before what is no https URL
			Subscriber:     strings.TrimPrefix(p.Keys.subject, "mailto:"),
			VAPIDPublicKey: p.Keys.public, VAPIDPrivateKey: p.Keys.private,
		})
	var network *url.Error
	if err != nil && !errors.As(err, &network) { // nothing was sent: the device's keys are none
		return outbox.Result{Status: outbox.Refused, Err: withoutAddress(err)}
	}
	if err != nil {
		return outbox.Result{Status: outbox.Again, Err: withoutAddress(err)}
	}
	skipBody(response, cancel)
	return pushResult(response)
}

// skipBody reads what is left of an answer, or ends its request by cancel. Whatever it says is for
// nobody: neither the user who gave the address nor the log.
func skipBody(response *http.Response, cancel context.CancelFunc) {
	defer response.Body.Close()
	defer time.AfterFunc(answerTime, cancel).Stop()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) //nolint:errcheck // the status has come
}

// pushResult says what the status of a push service means.
func pushResult(response *http.Response) outbox.Result {
	code := response.StatusCode
	r := outbox.Result{Code: code, Status: outbox.Refused}
	switch {
	case code >= 200 && code < 300:
		r.Status = outbox.Sent
		return r
	case code == http.StatusNotFound, code == http.StatusGone:
		r.Status = outbox.Gone
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		// The device may have been added with somebody else's key.
		r.Status, r.Doubtful = outbox.Ours, true
	case code == http.StatusRequestEntityTooLarge:
		r.Status = outbox.TooLarge
	case code == http.StatusTooManyRequests, code == http.StatusNotAcceptable, code == http.StatusRequestTimeout, code >= 500:
		// 406 is how that of Windows says that it takes no more at present
		r.Status, r.RetryAfter = outbox.Again, retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	r.Err = fmt.Errorf("it answers %d", code)
	return r
}

// maxRetryAfter bounds what another side may have us wait.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads Retry-After: seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(0, time.Duration(min(seconds, 1<<20))*time.Second), maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}

// withoutAddress returns what went wrong with a request without its address, which is a secret.
func withoutAddress(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return err
}
