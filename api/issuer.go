package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// issuerRefresh is how often an issuer's keys are fetched again: so long a key that the issuer
	// withdraws may still count.
	issuerRefresh = 5 * time.Minute
	// minFetchInterval is how long nothing is fetched because of a token whose key is unknown,
	// after the last time that was.
	minFetchInterval = 10 * time.Second
	// issuerTimeout bounds one fetch.
	issuerTimeout = 5 * time.Second
	// firstIssuerPause and lastIssuerPause bound the pauses between attempts to reach an
	// issuer that is away.
	firstIssuerPause = time.Second
	lastIssuerPause  = 30 * time.Second
	// maxRedirects is how many redirects a fetch follows.
	maxRedirects = 3
	// maxArrivals is how many tokens whose key is unknown are remembered, by their
	// SHA-256, until they come again.
	maxArrivals = 4096
)

// errIssuerUnknown is, in words for a token's sender, that it can be told neither good nor bad.
const errIssuerUnknown = "the token cannot be checked at this moment, since its issuer does not answer: try again shortly"

// keySource is where an issuer's keys come from.
type keySource interface {
	// fetch returns the keys as they are now. Its error does not name the address, which
	// may hold a secret.
	fetch(ctx context.Context) (keySet, error)
	// setting is the name of the setting that names the source, and location the source
	// itself, as far as it may be told.
	setting() string
	location() string
	// interval is how often the keys are fetched, and minInterval how long at least passes between
	// fetches that tokens cause.
	interval() time.Duration
	minInterval() time.Duration
	// close lets go of what the source holds.
	close()
}

// Issuer knows the public keys of a foreign issuer of tokens. While they cannot be had, the last
// ones go on counting. A token whose key is unknown has them fetched once more, so that a new key
// counts from its first token on, but seldom: bad tokens do not become requests. A token is called
// bad only when its key was missing in a set whose fetch began after the token came first; until
// then it can be told neither good nor bad.
type Issuer struct {
	source keySource
	log    *slog.Logger
	// arrivals are the tokens whose key was not found, each with the number of fetches that had
	// begun when it came first.
	arrivals *lru.Cache[[sha256.Size]byte, int]

	mu        sync.Mutex // guards what follows
	set       keySet
	loaded    bool          // the keys have been had before
	failing   bool          // they could not be had the last time
	fault     string        // why not, as it was told
	nextFetch time.Time     // from when on a token has the keys fetched again
	begun     int           // fetches
	asOf      int           // the number of the fetch that set came by
	fetchedAt time.Time     // when that began
	running   chan struct{} // closed when the fetch under way is done; nil when there is none
}

// NewIssuer returns the Issuer whose JWK Set is at an address. Its requests go through
// transport; nil is one of its own.
func NewIssuer(address string, transport http.RoundTripper, log *slog.Logger) *Issuer {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes = maxHeader
		transport = own
	}
	return newIssuer(&keyAddress{address, &http.Client{Transport: transport, Timeout: issuerTimeout, CheckRedirect: followRedirect}}, log)
}

func newIssuer(source keySource, log *slog.Logger) *Issuer {
	arrivals, err := lru.New[[sha256.Size]byte, int](maxArrivals)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Issuer{source: source, log: log, arrivals: arrivals}
}

// Run implements Service: it keeps the keys fresh.
func (i *Issuer) Run(ctx context.Context) error {
	defer i.source.close()
	pause := firstIssuerPause
	for {
		next := i.source.interval()
		if i.refresh(ctx, false) != nil {
			next, pause = min(pause, next), min(2*pause, lastIssuerPause)
		} else {
			pause = firstIssuerPause
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// unverified is what a token says of itself, before anybody knows that it is true.
type unverified struct {
	algorithm jwa.SignatureAlgorithm
	keyID     string
	issued    time.Time // zero where it does not say
}

// verify returns the payload of a token whose signature one of the issuer's keys for its
// algorithm verifies.
func (i *Issuer) verify(ctx context.Context, token []byte, says unverified) ([]byte, error) {
	sum := sha256.Sum256(token)
	i.mu.Lock()
	now := i.begun
	i.mu.Unlock()
	arrived, came := i.arrivals.Get(sum)
	if !came {
		arrived = now
	}
	for fetches := 0; ; fetches++ { // the first may be one that was under way already
		found := i.matching(says)
		for _, key := range found.keys {
			if payload, err := jws.Verify(token, jws.WithCompact(), jws.WithKey(says.algorithm, key.public)); err == nil {
				i.arrivals.Remove(sum)
				return payload, nil
			}
		}
		refusal := invalidToken(reasonKey, i.source.setting()+" has no key with the token's kid and algorithm that signed it")
		if found.named {
			refusal = invalidToken(reasonSignature, "the key of "+i.source.setting()+" that the token names did not sign it")
		}
		switch {
		case fetches < 2 && found.asOf <= now:
			i.refresh(ctx, true)
			continue
		case found.asOf > arrived: // they were asked for after the token came first
			i.arrivals.Add(sum, arrived)
			return nil, refusal
		case found.named && !says.issued.After(found.fetchedAt):
			// the key that it names was asked for after it was signed
			return nil, refusal
		default:
			i.arrivals.Add(sum, arrived)
			return nil, &CredentialError{reasonLater, i.source.setting() + " could not be asked for the token's key yet",
				&handlers.TryLater{Detail: errIssuerUnknown, RetryAfter: max(time.Until(found.nextFetch), time.Second)}}
		}
	}
}

// matched are the keys that a token may be signed with.
type matched struct {
	keys      []publicKey
	named     bool // the one that the token names is among the issuer's
	asOf      int  // the fetch that they came by, and when that began
	fetchedAt time.Time
	nextFetch time.Time // from when on they may be fetched again
}

// matching returns the keys that a token may be signed with: those of its algorithm, and
// of its id if both have one.
func (i *Issuer) matching(says unverified) matched {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := matched{asOf: i.asOf, fetchedAt: i.fetchedAt, nextFetch: i.nextFetch}
	for _, key := range i.set.keys {
		same := says.keyID != "" && key.id == says.keyID
		m.named = m.named || same
		if slices.Contains(key.algorithms, says.algorithm) && (same || says.keyID == "" || key.id == "") && len(m.keys) < maxTries {
			m.keys = append(m.keys, key)
		}
	}
	return m
}

// refresh fetches the keys, or waits for the fetch that is under way, and returns why the last one
// failed, nil if it did not. On demand of a token whose key is unknown it does nothing when that
// was done a short time ago.
func (i *Issuer) refresh(ctx context.Context, onDemand bool) error {
	i.mu.Lock()
	if running := i.running; running != nil {
		i.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
		}
		return i.failure()
	}
	now := time.Now()
	if onDemand && now.Before(i.nextFetch) {
		i.mu.Unlock()
		return i.failure()
	}
	if onDemand {
		i.nextFetch = now.Add(i.source.minInterval())
		ctx = context.WithoutCancel(ctx) // the request may go away; the keys are for all
	}
	running := make(chan struct{})
	i.running = running
	i.begun++
	number := i.begun
	i.mu.Unlock()
	set, err := i.source.fetch(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	if ctx.Err() == nil {
		i.apply(set, err)
		if err == nil {
			i.asOf, i.fetchedAt = number, now
		}
	}
	i.running = nil
	close(running)
	return err
}

var errNoKeys = errors.New("its keys could not be had")

func (i *Issuer) failure() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failing || !i.loaded {
		return errNoKeys
	}
	return nil
}

// apply puts the outcome of a fetch into effect, and tells of what has changed. The
// caller holds the lock.
func (i *Issuer) apply(set keySet, err error) {
	log := i.log.With("place", i.source.location())
	fault, what := "", "the issuer at "+i.source.setting()+" does not answer"
	if err != nil {
		fault = err.Error()
	}
	if errors.Is(err, errNoKeySet) {
		what = "what " + i.source.setting() + " leads to is no key set"
	}
	switch {
	case err != nil && i.failing && fault == i.fault: // was told before
	case err != nil && !i.loaded:
		log.Warn(what+": its tokens are refused until it does; trying again", "error", err)
	case err != nil:
		log.Warn(what+": its last keys go on counting; trying again", "keys", len(i.set.keys), "error", err)
	case len(set.keys) == 0 && (!i.loaded || len(i.set.keys) > 0):
		log.Warn("the issuer has no key that counts here: none of its tokens is valid", "keys", set.total, "wanted", publicKeyNames)
	case i.failing || !i.loaded:
		log.Info("the issuer's keys are known", "keys", len(set.keys))
	}
	if err == nil && set.total > maxKeys && set.total != i.set.total {
		log.Warn("the issuer has more keys than are kept: tokens of the others are refused", "keys", set.total, "kept", maxKeys)
	}
	if err == nil && len(set.keys) > maxTries && len(set.keys) != len(i.set.keys) {
		log.Warn("the issuer has many keys: a token that does not name its own by kid is tried with the first of them only",
			"keys", len(set.keys), "tried", maxTries)
	}
	i.failing, i.fault = err != nil, fault
	if err == nil {
		i.set, i.loaded = set, true
	}
}

// keyAddress is a JWK Set at an address: JWKS_URL.
type keyAddress struct {
	address string
	client  *http.Client
}

func (*keyAddress) setting() string            { return "JWKS_URL" }
func (*keyAddress) interval() time.Duration    { return issuerRefresh }
func (*keyAddress) minInterval() time.Duration { return minFetchInterval }
func (a *keyAddress) close()                   { a.client.CloseIdleConnections() }

func (a *keyAddress) location() string {
	if u, err := url.Parse(a.address); err == nil {
		return u.Host
	}
	return ""
}

func (a *keyAddress) fetch(ctx context.Context) (keySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address, nil)
	if err != nil {
		return keySet{}, errors.New("the address is malformed")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := a.client.Do(request)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return keySet{}, fmt.Errorf("fetch the keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return keySet{}, fmt.Errorf("fetch the keys: answered by %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	switch {
	case err != nil:
		return keySet{}, fmt.Errorf("read the keys: %w", err)
	case len(text) > maxKeySet:
		return keySet{}, fmt.Errorf("the keys have more than %d bytes", maxKeySet)
	}
	return parseKeys(text)
}

// followRedirect follows few redirects, and none to where keys can be exchanged on the way.
func followRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > maxRedirects {
		return errors.New("too many redirects")
	}
	if next.URL.Scheme != "https" && (before[0].URL.Scheme == "https" || !IsLoopback(next.URL)) {
		return errors.New("a redirect from " + before[0].URL.Scheme + " to " + next.URL.Scheme + " is not followed")
	}
	return nil
}

// IsLoopback reports whether an address leads to this machine by its name alone: localhost (RFC
// 6761, section 6.3), or a loopback address.
func IsLoopback(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}
