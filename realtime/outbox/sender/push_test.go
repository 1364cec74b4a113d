package sender

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
)

// testPush returns a Push that trusts a fake push service.
func testPush(t *testing.T, service *outboxtest.Service) *Push {
	t.Helper()
	key, _, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewVAPID(key, "mailto:ops@hangarshare.example.com")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := NewHosts([]string{service.Host()})
	if err != nil {
		t.Fatal(err)
	}
	client := hosts.Client(nil)
	trust := x509.NewCertPool()
	trust.AddCert(service.Certificate())
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trust}
	t.Cleanup(client.CloseIdleConnections)
	return &Push{Keys: keys, Hosts: hosts, Client: client}
}

func endpointOf(d outboxtest.Device) db.PushEndpoint {
	return db.PushEndpoint{Endpoint: d.Endpoint, P256dh: d.Private.PublicKey().Bytes(), Auth: d.Secret}
}

// TestVectorOfRFC8291 opens the message of RFC 8291, appendix A, by what opens ours.
func TestVectorOfRFC8291(t *testing.T) {
	t.Parallel()
	decode := func(text string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	private, err := ecdh.P256().NewPrivateKey(decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	d := outboxtest.Device{Private: private, Secret: decode("BTBZMqHH6r4Tts7J_aSIgg")}
	plain, err := d.Decrypt(decode("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"))
	if err != nil || string(plain) != "When I grow up, I want to be a watermelon" {
		t.Fatalf("%q, %v", plain, err)
	}
}

// TestPushIsAsTheStandardsSay sends messages of many lengths, each of which its device opens.
func TestPushIsAsTheStandardsSay(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	push := testPush(t, service)
	device := outboxtest.NewDevice(t, service.URL+"/one")
	sizes := map[int]bool{}
	for _, length := range []int{1, 100, 300, 500, 1000, 3000, MaxText - 200} {
		expires := time.Now().Add(time.Hour)
		m := outbox.Message{
			ID: "7", Language: "pt-BR", Title: strings.Repeat("é", length/2) + "x", Short: "x", Topic: "0123456789abcdef0123456789abcdef",
			Link: "https://live.portal.example/?n=7", Expires: expires, Device: endpointOf(device), Unread: 3, Urgent: length == 100,
		}
		if r := push.Send(t.Context(), m); r.Status != outbox.Sent || r.Code != 201 {
			t.Fatalf("%d: %+v", length, r)
		}
		seen := service.Seen("")
		last := seen[len(seen)-1]
		plain, err := device.Decrypt(last.Body)
		var got payload
		if err != nil || json.Unmarshal(plain, &got) != nil || got.WebPush != 8030 || got.Notification.Title != m.Title ||
			got.Notification.Navigate != m.Link || got.Notification.Tag != m.Topic || got.Notification.Badge != "3" {
			t.Errorf("%d: %v %.200s", length, err, plain)
		}
		urgency := map[bool]string{false: "normal", true: "high"}[m.Urgent]
		ttl, err := strconv.Atoi(last.Header.Get("TTL"))
		if least := int(time.Until(expires).Seconds()); err != nil || ttl < least || ttl >= 3600 {
			t.Errorf("%d: TTL %q, %d s before it is over", length, last.Header.Get("TTL"), least)
		}
		if h := last.Header; h.Get("Urgency") != urgency || h.Get("Topic") != m.Topic || h.Get("Content-Encoding") != "aes128gcm" {
			t.Errorf("%d: %v", length, h)
		}
		if last.Claims["sub"] != "mailto:ops@hangarshare.example.com" {
			t.Errorf("sub is %v", last.Claims["sub"])
		}
		if len(last.Body)%padStep != 0 || len(last.Body) > maxPush {
			t.Errorf("a body of %d bytes", len(last.Body))
		}
		sizes[len(last.Body)] = true
	}
	if len(sizes) < 4 {
		t.Errorf("the bodies have the lengths %v", sizes)
	}
	first, second := service.Seen("")[0].Body, service.Seen("")[1].Body
	if bytes.Equal(first[:86], second[:86]) {
		t.Error("two messages have one salt and key")
	}
}

// TestSubscriptionsAreChecked gives keys that nothing can be encrypted for.
func TestSubscriptionsAreChecked(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	push := testPush(t, service)
	d := outboxtest.NewDevice(t, service.URL+"/one")
	point := d.Private.PublicKey().Bytes()
	off := bytes.Clone(point)
	off[64] ^= 1
	encode := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct {
		s     Subscription
		field string
	}{
		"as it is":      {Subscription{d.Endpoint, d.P256dh(), d.Auth()}, ""},
		"with padding":  {Subscription{d.Endpoint, base64.URLEncoding.EncodeToString(point), base64.URLEncoding.EncodeToString(d.Secret)}, ""},
		"no point":      {Subscription{d.Endpoint, encode(off), d.Auth()}, "p256dh"},
		"the origin":    {Subscription{d.Endpoint, encode(make([]byte, 65)), d.Auth()}, "p256dh"},
		"compressed":    {Subscription{d.Endpoint, encode(point[:33]), d.Auth()}, "p256dh"},
		"no key":        {Subscription{d.Endpoint, "", d.Auth()}, "p256dh"},
		"short secret":  {Subscription{d.Endpoint, d.P256dh(), encode(d.Secret[:15])}, "auth"},
		"long secret":   {Subscription{d.Endpoint, d.P256dh(), encode(append(d.Secret, 1))}, "auth"},
		"not base64url": {Subscription{d.Endpoint, d.P256dh(), "!!!!"}, "auth"},
		"endpoint":      {Subscription{"https://127.0.0.1/", d.P256dh(), d.Auth()}, "endpoint"},
	} {
		if _, field, err := push.CheckSubscription(c.s); field != c.field || (err == nil) != (c.field == "") {
			t.Errorf("%s: %q, %v", name, field, err)
		}
	}
}

// TestKeysAreNoFlags makes keys until one of them would have begun with a hyphen, which one in 64
// does.
func TestKeysAreNoFlags(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if private, _, err := NewVAPIDKey(); err != nil || len(private) != 43 || private[0] == '-' {
			t.Fatalf("%q, %v", private, err)
		}
	}
}

// TestSubjects gives what push services take as a contact, and what they refuse.
func TestSubjects(t *testing.T) {
	t.Parallel()
	key, public, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{"mailto:ops@portal.com.br", "https://portal.com.br/contato", "https://portal.com.br"} {
		v, err := NewVAPID(key, good)
		if err != nil || v.Public() != public {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ops@portal.com.br", "mailto:", "mailto:ops", "mailto:ops@localhost", "mailto:mailto:ops@portal.com.br", "mailto: ops@portal.com.br", "mailto:<ops@portal.com.br>",
		"mailto:ops@portal.local", "mailto:ops@portal.example", "https://portal.example", "mailto:ops@127.0.0.1", "http://portal.com.br", "https://localhost", "https://127.0.0.1", "https://[::1]", "https://portal", "https://a:b@portal.com.br", "tel:1",
	} {
		if _, err := NewVAPID(key, bad); err == nil {
			t.Errorf("VAPID_SUBJECT=%q is taken", bad)
		}
	}
	for _, bad := range []string{"", "x", "AAAA", public, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{255}, 32))} {
		if _, err := NewVAPID(bad, "mailto:ops@portal.com.br"); err == nil || strings.Contains(err.Error(), bad) && len(bad) > 4 {
			t.Errorf("VAPID_PRIVATE_KEY=%q: %v", bad, err)
		}
	}
}

// TestLongTexts gives texts that no push service takes: the short one goes in their place, and
// nothing where that is too long too.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	push := testPush(t, service)
	device := outboxtest.NewDevice(t, service.URL+"/one")
	long := strings.Repeat("é", MaxText/2)
	m := outbox.Message{Title: long, Short: "Nova reserva", Topic: "a", Expires: time.Now().Add(time.Hour), Device: endpointOf(device)}
	if r := push.Send(t.Context(), m); r.Status != outbox.Sent {
		t.Errorf("%+v", r)
	}
	m.Short, m.Expires = long, time.Now()
	if r := push.Send(t.Context(), m); r.Status != outbox.Refused || r.Code != 0 {
		t.Errorf("%+v", r)
	}
	seen := service.Seen("")
	if len(seen) != 1 {
		t.Fatalf("%d requests", len(seen))
	}
	m.Title = "it is over at this moment"
	if r := push.Send(t.Context(), m); r.Status != outbox.Sent || service.Seen("")[1].Header.Get("TTL") != "1" {
		t.Errorf("%+v, %v", r, service.Seen("")[1].Header)
	}
	if text, err := device.Decrypt(seen[0].Body); err != nil || !strings.Contains(string(text), `"Nova reserva"`) {
		t.Errorf("%v: %s", err, text)
	}
}

// TestAnswersOfPushServices has a push service answer in all ways.
func TestAnswersOfPushServices(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var written atomic.Int64
	// what is closed when a request has come that is not answered
	came := map[string]chan struct{}{"hang": make(chan struct{}), "slow loris": make(chan struct{})}
	answers := map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, n int)
		want   outbox.Result
	}{
		"201":       {status(201), outbox.Result{Status: outbox.Sent, Code: 201}},
		"200":       {status(200), outbox.Result{Status: outbox.Sent, Code: 200}},
		"404":       {status(404), outbox.Result{Status: outbox.Gone, Code: 404}},
		"410":       {status(410), outbox.Result{Status: outbox.Gone, Code: 410}},
		"400":       {status(400), outbox.Result{Status: outbox.Refused, Code: 400}},
		"401":       {status(401), outbox.Result{Status: outbox.Ours, Code: 401, Doubtful: true}},
		"403":       {status(403), outbox.Result{Status: outbox.Ours, Code: 403, Doubtful: true}},
		"413 twice": {status(413), outbox.Result{Status: outbox.Refused, Code: 413}},
		"413 once":  {tooLargeFirst, outbox.Result{Status: outbox.Sent, Code: 201}},
		"429":       {status(429, "Retry-After", "120"), outbox.Result{Status: outbox.Again, Code: 429, RetryAfter: 2 * time.Minute}},
		"503":       {status(503), outbox.Result{Status: outbox.Again, Code: 503}},
		"500":       {status(500), outbox.Result{Status: outbox.Again, Code: 500}},
		"408":       {status(408), outbox.Result{Status: outbox.Again, Code: 408}},
		"405":       {status(405), outbox.Result{Status: outbox.Refused, Code: 405}},
		"406":       {status(406, "Retry-After", "60"), outbox.Result{Status: outbox.Again, Code: 406, RetryAfter: time.Minute}},
		"redirect":  {status(301, "Location", "https://127.0.0.1/"), outbox.Result{Status: outbox.Refused, Code: 301}},
		"hang": {func(_ http.ResponseWriter, r *http.Request, _ int) {
			close(came["hang"])
			waitFor(r, release)
		}, outbox.Result{Status: outbox.Again}},
		"long head":  {status(201, "X-Long", strings.Repeat("a", 20<<10)), outbox.Result{Status: outbox.Again}},
		"endless":    {func(w http.ResponseWriter, _ *http.Request, _ int) { endless(w, &written) }, outbox.Result{Status: outbox.Sent, Code: 200}},
		"half":       {halfAnswer, outbox.Result{Status: outbox.Again}},
		"slow loris": {func(w http.ResponseWriter, _ *http.Request, _ int) { drip(w, came["slow loris"], release) }, outbox.Result{Status: outbox.Again}},
	}
	service := outboxtest.NewService(t, func(w http.ResponseWriter, r *http.Request, n int) {
		answers[strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "_", " ")].answer(w, r, n)
	})
	push := testPush(t, service)
	t.Run("each", func(t *testing.T) {
		for name, c := range answers {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx := t.Context()
				if silent := came[name]; silent != nil {
					// as the time limit of a request does, and sooner
					limited, cancel := context.WithTimeout(ctx, time.Minute)
					defer cancel()
					go func() {
						<-silent
						cancel()
					}()
					ctx = limited
				}
				device := outboxtest.NewDevice(t, service.URL+"/"+strings.ReplaceAll(name, " ", "_"))
				got := push.Send(ctx, outbox.Message{Title: "Nova reserva · H1", Short: "Nova reserva", Topic: "a", Expires: time.Now().Add(time.Hour), Device: endpointOf(device)})
				if (got.Err == nil) != (c.want.Status == outbox.Sent) || got.Err != nil && strings.Contains(got.Err.Error(), service.Host()+"/") {
					t.Errorf("the error is %v", got.Err)
				}
				if got.Err = nil; got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				seen := service.Seen("/" + strings.ReplaceAll(name, " ", "_"))
				if strings.HasPrefix(name, "413") {
					long, _ := device.Decrypt(seen[0].Body)
					short, _ := device.Decrypt(seen[1].Body)
					if !strings.Contains(string(long), "H1") || strings.Contains(string(short), "H1") || !strings.Contains(string(short), "Nova reserva") {
						t.Errorf("the texts are %s and %s", long, short)
					}
				} else if len(seen) != 1 {
					t.Errorf("%d requests", len(seen))
				}
			})
		}
	})
	close(release)
	if n := written.Load(); n > 64<<20 {
		t.Errorf("%d bytes of an answer are read", n)
	}
}

// endless answers until nobody reads it any more.
func endless(w http.ResponseWriter, written *atomic.Int64) {
	text := make([]byte, 64<<10)
	for {
		n, err := w.Write(text)
		if written.Add(int64(n)); err != nil {
			return
		}
	}
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		w.Write([]byte("what the push service says is for nobody"))
	}
}

func tooLargeFirst(w http.ResponseWriter, _ *http.Request, n int) {
	if n == 1 {
		w.WriteHeader(413)
		return
	}
	w.WriteHeader(201)
}

// waitFor waits until a client leaves or all is over, and answers nothing: between the last word of
// TLS and the end of its connection a client still takes an answer.
func waitFor(r *http.Request, release chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-release:
	}
	panic(http.ErrAbortHandler)
}

// silentBody is a transport whose answers have a status and then say nothing until the request
// ends.
type silentBody int

func (s silentBody) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(s), Header: http.Header{}, Body: io.NopCloser(readUntil{r.Context()}), Request: r}, nil
}

type readUntil struct{ context.Context }

func (r readUntil) Read([]byte) (int, error) {
	<-r.Done()
	return 0, r.Err()
}

// TestAnswersThatStay has a push service and a portal give their status and never end their
// answer: the status counts, and nobody waits for the rest for long.
func TestAnswersThatStay(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	push, device := testPush(t, service), outboxtest.NewDevice(t, service.URL+"/one")
	hook, err := NewWebhook("https://portal.example/hooks", "whsec_"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]outbox.Sender{
		"push":    &Push{Keys: push.Keys, Hosts: push.Hosts, Client: &http.Client{Transport: silentBody(201)}},
		"webhook": hook,
	} {
		hook.client = &http.Client{Transport: silentBody(201)}
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			r := by.Send(t.Context(), outbox.Message{ID: "1", Title: "x", Address: "olga@portal.example", Expires: begun.Add(time.Hour), Device: endpointOf(device)})
			if took := time.Since(begun); r.Status != outbox.Sent || r.Code != 201 || took > answerTime {
				t.Errorf("%s: %+v, after %s", name, r, took)
			}
		})
	}
}

// halfAnswer ends in the middle of the head.
func halfAnswer(w http.ResponseWriter, _ *http.Request, _ int) {
	conn, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	out.WriteString("HTTP/1.1 201 Cre")
	out.Flush()
	conn.Close()
}

// drip sends a head that never ends, and says when it has begun.
func drip(w http.ResponseWriter, begun, release chan struct{}) {
	conn, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	out.WriteString("HTTP/1.1 201 Created\r\n")
	out.Flush()
	close(begun)
	for {
		if _, err := out.WriteString("X: y\r\n"); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-release:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "120": 2 * time.Minute, "99999999999": maxRetryAfter, "1000000": maxRetryAfter, "Thu, 12 Mar 2026 12:01:00 GMT": time.Minute, "Thu, 12 Mar 2020 12:01:00 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestKeysThatAreNone sends to devices whose keys are no keys, as only a hand in the table writes
// them: nothing leaves, and it is not the push service that failed.
func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	push := testPush(t, service)
	for _, key := range [][]byte{nil, {4}, bytes.Repeat([]byte{4}, 65)} {
		device := endpointOf(outboxtest.NewDevice(t, service.URL+"/one"))
		device.P256dh = key
		if r := push.Send(t.Context(), outbox.Message{Title: "a", Short: "a", Topic: "a", Expires: time.Now().Add(time.Hour), Device: device}); r.Status != outbox.Refused || r.Code != 0 || r.Err == nil {
			t.Errorf("%d bytes: %+v", len(key), r)
		}
	}
	if n := len(service.Seen("")); n != 0 {
		t.Errorf("%d requests", n)
	}
}
