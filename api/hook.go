package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// hookTimeout bounds one question to the hook.
	hookTimeout = 5 * time.Second
	// hookTTL is for how long an answer counts that says who it is, and hookMissTTL one that
	// says that it is nobody: who signs in just now must not wait.
	hookTTL     = 60 * time.Second
	hookMissTTL = 2 * time.Second
	// maxHookAnswers is how many answers of either kind are remembered.
	maxHookAnswers = 1 << 14
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 64 << 10
	// maxQuestions and maxQuestionsPerAddress bound how many questions are under way at
	// once, for all and for an address: who sends a new credential with every request
	// must not keep the hook busy.
	maxQuestions           = 64
	maxQuestionsPerAddress = 8
	// hookPause is how long a client is told to wait whose session is not asked about.
	hookPause = 2 * time.Second
)

// errUnknownSession is, in words for its sender, that the portal does not know a credential.
var errUnknownSession = handlers.Unauthorized("the portal does not know this session: sign in again")

// credentials is what of a request may say who is asking, where it is no JWT.
type credentials struct {
	authorization, cookie string
}

// Hook asks the portal who is asking, where a credential says nothing by itself: an address of the
// portal that is given a request's Cookie and Authorization and answers {"userId": …, "expiresAt":
// …}. Each credential has one question under way, and its answer is remembered by its SHA-256.
type Hook struct {
	address   string
	client    *http.Client
	log       *slog.Logger
	canonical func(id string) string
	viewers   ttlCache[[sha256.Size]byte, handlers.Viewer]
	misses    ttlCache[[sha256.Size]byte, struct{}]
	group     singleflight.Group
	told      rate.Sometimes

	mu     sync.Mutex // guards what follows
	asking counter
	total  int
}

// NewHook returns the Hook at an address. canonical writes a user's id as the database does.
// transport is nil for one of its own.
func NewHook(address string, canonical func(id string) string, transport http.RoundTripper, log *slog.Logger) *Hook {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes, own.MaxIdleConnsPerHost = maxHeader, maxQuestions
		transport = own
	}
	return &Hook{
		address: address, canonical: canonical, log: log, asking: make(counter), told: rate.Sometimes{First: 1, Interval: time.Minute},
		client: &http.Client{
			Transport: transport, Timeout: hookTimeout,
			// cookies go to one place only
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		viewers: newTTLCache[[sha256.Size]byte, handlers.Viewer](maxHookAnswers),
		misses:  newTTLCache[[sha256.Size]byte, struct{}](maxHookAnswers),
	}
}

// viewer returns whom the portal sees in a credential, and how to ask again while a stream is open.
func (h *Hook) viewer(ctx context.Context, c credentials) (handlers.Viewer, error) {
	v, err := h.ask(ctx, c)
	if err != nil {
		return v, err
	}
	from := clientOf(ctx)
	v.Confirm = func(ctx context.Context) (handlers.Viewer, error) {
		return h.viewer(context.WithValue(ctx, clientKey{}, from), c)
	}
	return v, nil
}

// ask returns whom the portal sees in a credential.
func (h *Hook) ask(ctx context.Context, c credentials) (handlers.Viewer, error) {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(c.authorization)) + c.authorization + c.cookie))
	if viewer, ok := h.viewers.get(sum); ok && time.Now().Before(viewer.Expires) {
		return viewer, nil
	}
	if _, ok := h.misses.get(sum); ok {
		return handlers.Viewer{}, &CredentialError{reasonHook, "AUTH_HOOK_URL knows nobody by it", errUnknownSession}
	}
	answer := h.group.DoChan(string(sum[:]), func() (any, error) {
		leave, ok := h.enter(clientOf(ctx).key)
		if !ok {
			return nil, h.later(errors.New("too many questions are under way"))
		}
		defer leave()
		viewer, err := h.question(context.WithoutCancel(ctx), c)
		switch {
		case err == nil:
			h.viewers.put(sum, viewer, hookTTL)
		case errors.Is(err, errUnknownSession):
			h.misses.put(sum, struct{}{}, hookMissTTL)
		}
		return viewer, err
	})
	select {
	case <-ctx.Done():
		return handlers.Viewer{}, ctx.Err()
	case a := <-answer:
		viewer, _ := a.Val.(handlers.Viewer)
		return viewer, a.Err
	}
}

// enter counts a question of an address until leave is called; false when there are too many.
func (h *Hook) enter(address string) (leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= maxQuestions || h.asking[address] >= maxQuestionsPerAddress {
		return nil, false
	}
	h.total++
	h.asking[address]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.total--
		h.asking.decrement(address)
	}, true
}

// later says that the hook cannot be asked.
func (h *Hook) later(err error) error {
	h.told.Do(func() { h.log.Warn("AUTH_HOOK_URL does not say who is asking: try it by hand", "error", err) })
	return &handlers.TryLater{Detail: "who you are cannot be found out at this moment: try again shortly", RetryAfter: hookPause}
}

// question asks once.
func (h *Hook) question(ctx context.Context, c credentials) (handlers.Viewer, error) {
	now := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.address, nil)
	if err != nil {
		return handlers.Viewer{}, h.later(errors.New("the address is malformed"))
	}
	request.Header.Set("Accept", "application/json")
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	if c.cookie != "" {
		request.Header.Set("Cookie", c.cookie)
	}
	response, err := h.client.Do(request)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return handlers.Viewer{}, h.later(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return handlers.Viewer{}, h.later(err)
	}
	return h.read(response.StatusCode, text, now)
}

// read turns an answer to a question of a moment into a viewer.
func (h *Hook) read(status int, text []byte, now time.Time) (handlers.Viewer, error) {
	unknown := &CredentialError{reasonHook, "AUTH_HOOK_URL knows nobody by it", errUnknownSession}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNoContent:
		return handlers.Viewer{}, unknown
	case status >= 300 && status < 400: // to a page where people sign in
		h.told.Do(func() {
			h.log.Warn("AUTH_HOOK_URL answers by a redirect, which counts as: nobody. Let it answer 401", "status", status)
		})
		return handlers.Viewer{}, unknown
	case status != http.StatusOK:
		return handlers.Viewer{}, h.later(fmt.Errorf("it answers %d", status))
	}
	var answer struct {
		UserID  json.RawMessage `json:"userId"`
		Expires json.RawMessage `json:"expiresAt"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return handlers.Viewer{}, h.later(errors.New("it does not answer in JSON"))
	}
	if answer.UserID == nil || string(answer.UserID) == "null" {
		return handlers.Viewer{}, unknown
	}
	user := idOf(answer.UserID)
	expires, ok := readEnd(answer.Expires)
	if !isUserID(user) || !ok {
		return handlers.Viewer{}, h.later(errors.New(`its answer is not {"userId":"…","expiresAt":…}, with milliseconds since 1970 or a date of RFC 3339`))
	}
	if !expires.After(now) {
		return handlers.Viewer{}, unknown
	}
	return handlers.Viewer{UserID: h.canonical(user), Expires: expires, Issued: now}, nil
}

// firstMillisecond is the least number that is read as milliseconds since 1970, in March 1973.
// Smaller ones are seconds, as the claim exp has them.
const firstMillisecond = 1e11

// readEnd reads a moment as milliseconds or seconds since 1970, or as a date (RFC 3339).
func readEnd(text json.RawMessage) (time.Time, bool) {
	var date time.Time
	if json.Unmarshal(text, &date) == nil && !date.IsZero() {
		return date, true
	}
	ms, err := strconv.ParseFloat(string(text), 64)
	if err != nil || ms <= 0 || ms >= lastInstant*1000 {
		return time.Time{}, false
	}
	if ms < firstMillisecond {
		ms *= 1000
	}
	return time.UnixMilli(int64(ms)), true
}
