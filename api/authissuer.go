package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	// issuerRefresh is how often an issuer's keys are fetched again: so long a key that the issuer withdraws may still count.
	issuerRefresh = 5 * time.Minute
	// issuerRest is how long nothing is fetched because of a token that names an unknown key, after the last time that was.
	issuerRest = 10 * time.Second
	// issuerTimeout bounds one fetch.
	issuerTimeout = 5 * time.Second
	// firstIssuerPause and lastIssuerPause bound the pauses between attempts to reach an issuer that is away.
	firstIssuerPause = time.Second
	lastIssuerPause  = 30 * time.Second
	// maxKeySet is the most bytes of a key set that are read, and maxKeys the most keys that are kept.
	maxKeySet = 256 << 10
	maxKeys   = 64
	// minRSABits and maxRSABits bound the size of RSA keys (RFC 7518, section 3.3); larger ones cost too much to verify with.
	minRSABits = 2048
	maxRSABits = 8192
	// maxRedirects is how many redirects a fetch follows.
	maxRedirects = 3
)

// errIssuerUnknown is, in words for whoever sent a token, that it can be told neither good nor bad.
var errIssuerUnknown = errors.New("the token cannot be checked at this moment, since its issuer does not answer: try again shortly")

// issuerKey is a public key that verifies tokens of one algorithm.
type issuerKey struct {
	id        string
	algorithm jwa.SignatureAlgorithm
	public    any
}

// Issuer knows the public keys of a foreign issuer of tokens: a JWK Set (RFC 7517, section 5) at an address. While that
// does not answer, the last keys go on counting. A token with an unknown key has the set fetched once more, so that a new
// key counts from its first token on, but seldom: bad tokens do not become requests.
type Issuer struct {
	address string
	client  *http.Client
	log     *slog.Logger

	mu      sync.Mutex // guards what follows
	keys    []issuerKey
	known   bool          // the issuer has answered before
	failing bool          // it did not the last time
	rested  time.Time     // from when on an unknown key has the set fetched again
	running chan struct{} // closed when the fetch under way is done; nil when there is none
}

// NewIssuer returns the Issuer whose JWK Set is at an address. Its requests go through transport; nil is one of its own.
func NewIssuer(address string, transport http.RoundTripper, log *slog.Logger) *Issuer {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes = maxHeader
		transport = own
	}
	return &Issuer{address: address, log: log, client: &http.Client{
		Transport: transport, Timeout: issuerTimeout, CheckRedirect: followRedirect,
	}}
}

// followRedirect follows few redirects, and none that leaves encryption.
func followRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > maxRedirects {
		return errors.New("too many redirects")
	}
	if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("a redirect from https to " + next.URL.Scheme + " is not followed")
	}
	return nil
}

// Run implements Part: it keeps the keys fresh.
func (i *Issuer) Run(ctx context.Context) error {
	defer i.client.CloseIdleConnections()
	pause := firstIssuerPause
	for {
		next := issuerRefresh
		if !i.refresh(ctx, false) {
			next, pause = pause, min(2*pause, lastIssuerPause)
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

// verify returns the payload of a token whose signature one of the issuer's keys for its algorithm verifies.
func (i *Issuer) verify(ctx context.Context, token []byte, id string, algorithm jwa.SignatureAlgorithm) ([]byte, error) {
	for again := true; ; again = false {
		keys, known := i.matching(id, algorithm)
		for _, key := range keys {
			if payload, err := jws.Verify(token, jws.WithCompact(), jws.WithKey(key.algorithm, key.public)); err == nil {
				return payload, nil
			}
		}
		switch {
		case len(keys) > 0 && id != "" || known && !again: // the key that it names did not sign it, or there is none
			return nil, errTokenInvalid
		case !again:
			return nil, errIssuerUnknown
		}
		i.refresh(ctx, true)
	}
}

// matching returns the keys that a token may be signed with: those of its algorithm, and of its id if it names one. known
// is false while the issuer has never answered.
func (i *Issuer) matching(id string, algorithm jwa.SignatureAlgorithm) (keys []issuerKey, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, key := range i.keys {
		if key.algorithm == algorithm && (id == "" || key.id == id) {
			keys = append(keys, key)
		}
	}
	return keys, i.known
}

// refresh fetches the keys, or waits for the fetch that is under way, and reports whether the issuer answers. On demand of a
// token whose key is unknown it does nothing when that was done a short time ago.
func (i *Issuer) refresh(ctx context.Context, onDemand bool) bool {
	i.mu.Lock()
	if running := i.running; running != nil {
		i.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		return !i.failing
	}
	now := time.Now()
	if onDemand && now.Before(i.rested) {
		defer i.mu.Unlock()
		return !i.failing
	}
	if onDemand {
		i.rested = now.Add(issuerRest)
		ctx = context.WithoutCancel(ctx) // whoever asked may go away; the keys are for all
	}
	running := make(chan struct{})
	i.running = running
	i.mu.Unlock()
	keys, err := i.fetch(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	if ctx.Err() == nil {
		i.take(keys, err)
	}
	i.running = nil
	close(running)
	return err == nil
}

// take puts the outcome of a fetch into effect, and tells of what has changed. The caller holds the lock.
func (i *Issuer) take(keys []issuerKey, err error) {
	host := ""
	if u, parseErr := url.Parse(i.address); parseErr == nil {
		host = u.Host
	}
	switch {
	case err != nil && !i.failing && !i.known:
		i.log.Warn("the issuer at JWKS_URL does not answer: its tokens are refused until it does; trying again", "host", host, "error", err)
	case err != nil && !i.failing:
		i.log.Warn("the issuer at JWKS_URL does not answer: its last keys go on counting; trying again", "host", host, "keys", len(i.keys), "error", err)
	case err == nil && len(keys) == 0 && (!i.known || len(i.keys) > 0):
		i.log.Warn("the issuer at JWKS_URL has no key for RS256, ES256 or EdDSA: none of its tokens is valid", "host", host)
	case err == nil && (i.failing || !i.known):
		i.log.Info("the issuer's keys are known", "host", host, "keys", len(keys))
	}
	i.failing = err != nil
	if err == nil {
		i.keys, i.known = keys, true
	}
}

// fetch gets the issuer's usable keys. Its error does not name the address, which may hold a secret.
func (i *Issuer) fetch(ctx context.Context) ([]issuerKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, i.address, nil)
	if err != nil {
		return nil, errors.New("the address is malformed")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := i.client.Do(request)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, fmt.Errorf("fetch the keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the keys: answered by %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the keys: %w", err)
	case len(text) > maxKeySet:
		return nil, fmt.Errorf("the keys have more than %d bytes", maxKeySet)
	}
	set, err := jwk.Parse(text, jwk.WithIgnoreParseError(true)) // a key of a kind that is unknown here takes nothing from the others
	if err != nil {
		return nil, errors.New("the answer is not a JWK Set")
	}
	var keys []issuerKey
	for n := 0; n < set.Len() && len(keys) < maxKeys; n++ {
		if key, ok := set.Key(n); ok {
			if usable, ok := readKey(key); ok {
				keys = append(keys, usable)
			}
		}
	}
	return keys, nil
}

// readKey returns a key of the set, if it is one that verifies signatures of an algorithm that counts here.
func readKey(key jwk.Key) (issuerKey, bool) {
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return issuerKey{}, false
	}
	if uses := key.KeyOps(); len(uses) > 0 && !slices.Contains(uses, jwk.KeyOpVerify) {
		return issuerKey{}, false
	}
	public, err := key.PublicKey()
	if err != nil {
		return issuerKey{}, false
	}
	var raw any
	if err := public.Raw(&raw); err != nil {
		return issuerKey{}, false
	}
	found := issuerKey{id: key.KeyID(), public: raw}
	switch k := raw.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return issuerKey{}, false
		}
		found.algorithm = jwa.RS256
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return issuerKey{}, false
		}
		found.algorithm = jwa.ES256
	case ed25519.PublicKey:
		found.algorithm = jwa.EdDSA
	default: // a secret, or one for encryption
		return issuerKey{}, false
	}
	named := key.Algorithm().String()
	return found, named == "" || named == found.algorithm.String()
}
