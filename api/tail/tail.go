// Package tail follows one owner's stream over HTTP and hands each message on. It promises that a
// consumer sees every event once and in order, across lost connections and restarted servers: it
// comes back with the position of the last event. It does not know how a message is printed.
package tail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"
)

const (
	// maxMessage bounds a message that is read, and maxProblem an answer that says what is wrong.
	maxMessage = 1 << 20
	maxProblem = 64 << 10
	// openTimeout bounds the wait for a stream's first message.
	openTimeout = 20 * time.Second
	// firstPause and longestPause bound the pauses between attempts that fail.
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	// silence is how many heartbeats a server may miss before it counts as gone.
	silence = 2.5
)

// Message is one message of a stream. JSON is the whole of it as it was sent.
type Message struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp int64           `json:"timestamp"` // Unix milliseconds
	OwnerID   string          `json:"ownerId"`
	Data      json.RawMessage `json:"data"`
	JSON      []byte          `json:"-"`
}

// Follower follows the stream of one owner account.
type Follower struct {
	URL     string // of the server, like https://live.portal.example
	OwnerID string // "" for the user's only account
	// Token returns an access token for the next connection.
	Token func(ctx context.Context) (string, error)
	// After is the position of the last event that was handed on: what follows comes
	// next. "" begins at the present.
	After string
	// Each is called with every message in order, heartbeats left out. An error ends Run.
	Each func(Message) error
	Log  *slog.Logger

	client http.Client
	pause  time.Duration // the next one after a failure
	wait   time.Duration // that the server asked for
}

// ErrRefused says that the server refuses the stream, and would do so again.
var ErrRefused = errors.New("the server refuses the stream")

// Run follows the stream until ctx ends, Each fails or the server refuses it for good.
func (f *Follower) Run(ctx context.Context) error {
	address, err := url.Parse(f.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return fmt.Errorf("--url %q is not the address of a server, like https://live.portal.example", f.URL)
	}
	defer f.client.CloseIdleConnections()
	expired := false
	for {
		established, err := f.follow(ctx, address)
		var final *ended
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &final) && final.code == codeUnauthorized && established && !expired:
			expired = true // a token's life is over: once, another one is tried
			continue
		case errors.Is(err, ErrRefused), errors.As(err, new(*printError)):
			return err
		}
		expired = expired && !established
		if established {
			f.pause = 0
		}
		f.pause = min(max(2*f.pause, firstPause), longestPause)
		pause := max(f.wait, f.pause/2+rand.N(f.pause/2))
		f.wait = 0
		f.Log.Warn("the stream was lost; coming back", "in", pause.Round(time.Millisecond), "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// printError is an error of Each.
type printError struct{ error }

// Unwrap returns the error.
func (e *printError) Unwrap() error { return e.error }

// Close codes after which the same request gets the same answer (see openapi.yaml).
const (
	codeProtocol     = 4400
	codeUnauthorized = 4401
	codeForbidden    = 4403
)

// ended is how the server ended a stream.
type ended struct {
	code    int
	message string
}

func (e *ended) Error() string { return fmt.Sprintf("ended with code %d: %s", e.code, e.message) }

// Is reports whether the ending is final.
func (e *ended) Is(target error) bool {
	return target == ErrRefused && (e.code == codeProtocol || e.code == codeUnauthorized || e.code == codeForbidden)
}

// follow reads one connection to its end. established says whether it began.
func (f *Follower) follow(ctx context.Context, address *url.URL) (established bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := f.open(ctx, address)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	quiet := openTimeout // for which the server may say nothing
	watch := time.AfterFunc(openTimeout, cancel)
	defer watch.Stop()
	for event, err := range sse.Read(response.Body, &sse.ReadConfig{MaxEventSize: maxMessage}) {
		if err != nil {
			return established, fmt.Errorf("read the stream: %w", err)
		}
		watch.Reset(quiet)
		m := Message{JSON: []byte(event.Data)}
		if err := json.Unmarshal(m.JSON, &m); err != nil {
			return established, fmt.Errorf("read a message: %w", err)
		}
		switch m.Type {
		case "connection_established":
			established = true
			quiet = time.Duration(silence * float64(heartbeat(m.Data)))
		case "server_closing":
			f.wait = retry(m.Data)
		case "error":
			return established, f.endOf(m)
		}
		if m.Type != "heartbeat" {
			if err := f.Each(m); err != nil {
				return established, &printError{err}
			}
		}
		if id := position(m); id != "" {
			f.After = id
		}
	}
	return established, errors.New("the connection was closed")
}

// open asks for the stream.
func (f *Follower) open(ctx context.Context, address *url.URL) (*http.Response, error) {
	token, err := f.Token(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if f.OwnerID != "" {
		query.Set("ownerId", f.OwnerID)
	}
	target := *address.JoinPath("api/sse")
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Authorization", "Bearer "+token)
	if f.After != "" {
		request.Header.Set("Last-Event-ID", f.After)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK && strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return response, nil
	}
	defer response.Body.Close()
	return nil, f.refusal(response)
}

// refusal reads an answer that is no stream.
func (f *Follower) refusal(response *http.Response) error {
	var problem struct{ Detail string }
	json.NewDecoder(io.LimitReader(response.Body, maxProblem)).Decode(&problem)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		f.wait = min(time.Duration(seconds)*time.Second, longestPause)
	}
	switch s := response.StatusCode; {
	case s == http.StatusOK:
		return fmt.Errorf("%w: what is at --url answers, but with no event stream", ErrRefused)
	case s >= 400 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout:
		return fmt.Errorf("%w: %s: %s", ErrRefused, response.Status, problem.Detail)
	}
	return fmt.Errorf("%s: %s", response.Status, problem.Detail)
}

// endOf returns the ending that a message tells.
func (f *Follower) endOf(m Message) error {
	var data struct {
		Code    int
		Message string
		RetryMs int64
	}
	if err := json.Unmarshal(m.Data, &data); err != nil {
		return fmt.Errorf("read how the stream ended: %w", err)
	}
	f.wait = min(time.Duration(data.RetryMs)*time.Millisecond, longestPause)
	return &ended{data.Code, data.Message}
}

// position returns the position of the stream after a message; "" where it does not say.
func position(m Message) string {
	if m.ID != "" {
		return m.ID
	}
	var data struct {
		LastEventID string
		Recovered   bool
	}
	switch m.Type {
	case "connection_established", "resync", "heartbeat":
		json.Unmarshal(m.Data, &data)
	}
	if m.Type == "connection_established" && !data.Recovered {
		return "" // resync carries it: a cut between the two would hide the loss
	}
	return data.LastEventID
}

// heartbeat returns how often the server promises to say something.
func heartbeat(data json.RawMessage) time.Duration {
	var body struct{ HeartbeatMs int64 }
	if json.Unmarshal(data, &body) != nil || body.HeartbeatMs <= 0 {
		return openTimeout
	}
	return max(time.Duration(body.HeartbeatMs)*time.Millisecond, time.Second)
}

// retry returns a random part of the time after which a server that closes wants its clients back.
func retry(data json.RawMessage) time.Duration {
	var body struct{ RetryMs int64 }
	if json.Unmarshal(data, &body) != nil || body.RetryMs <= 0 {
		return 0
	}
	return rand.N(min(time.Duration(body.RetryMs)*time.Millisecond, longestPause))
}
