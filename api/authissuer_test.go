package api

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// issuerKeys are private keys of every kind that counts, and of one that is too weak. RSA keys are slow to make.
var issuerKeys = sync.OnceValue(func() (k struct {
	rsa, weak *rsa.PrivateKey
	p256      *ecdsa.PrivateKey
	p384      *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
}) {
	var errs [5]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.weak, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	k.p256, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p384, errs[3] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, k.ed, errs[4] = ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(errs[:]...); err != nil {
		panic(err)
	}
	return k
})

// published returns the public part of a key as a JWK with an id and other members.
func published(t *testing.T, key any, members map[string]any) jwk.Key {
	t.Helper()
	if signer, ok := key.(crypto.Signer); ok {
		key = signer.Public()
	}
	made, err := jwk.FromRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if err := made.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

// signed returns claims signed with a key; id may be empty.
func signed(t *testing.T, algorithm jwa.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	header := make(map[string]any)
	if id != "" {
		header[jws.KeyIDKey] = id
	}
	return signedText(t, algorithm, key, header, payload)
}

// signedText returns any text signed with a key, under a header with other members.
func signedText(t *testing.T, algorithm jwa.SignatureAlgorithm, key any, members map[string]any, payload []byte) string {
	t.Helper()
	header := jws.NewHeaders()
	for name, value := range members {
		if err := header.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	token, err := jws.Sign(payload, jws.WithKey(algorithm, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

func endsSoon() map[string]any {
	return map[string]any{"sub": "7", "exp": time.Now().Add(time.Hour).Unix()}
}

// stand is an issuer without a network: it answers as it is told to, and counts how often it is asked.
type stand struct {
	mu     sync.Mutex
	asked  int
	answer func() (*http.Response, error)
}

// RoundTrip implements http.RoundTripper.
func (s *stand) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	answer := s.answer
	s.mu.Unlock()
	return answer()
}

func (s *stand) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *stand) say(status int, body string) {
	s.set(func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}, nil
	})
}

func (s *stand) publish(t *testing.T, keys ...any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	s.say(http.StatusOK, string(body))
}

func (s *stand) fail() {
	s.set(func() (*http.Response, error) { return nil, errors.New("no route to the issuer") })
}

func (s *stand) set(answer func() (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// bubble runs a test in a bubble of its own time, with an issuer whose keys are kept fresh.
func bubble(t *testing.T, prepare func(*stand), test func(t *testing.T, s *stand, tokens *Tokens, log *bytes.Buffer)) {
	issuerKeys() // real time
	synctest.Test(t, func(t *testing.T) {
		s, log := new(stand), new(bytes.Buffer)
		prepare(s)
		issuer := NewIssuer("https://issuer.example/keys?secret=hidden", s, slog.New(slog.NewTextHandler(log, nil)))
		tokens := NewTokens([]byte("the secret of HS256 tokens, 32 bytes or more"))
		tokens.Trust(issuer)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := issuer.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer cancel()
		synctest.Wait()
		test(t, s, tokens, log)
	})
}

func accepts(t *testing.T, tokens *Tokens, token string) {
	t.Helper()
	if viewer, err := tokens.Verify(t.Context(), token); err != nil || viewer.UserID != "7" {
		t.Errorf("a good token is %+v, %v", viewer, err)
	}
}

func refuses(t *testing.T, tokens *Tokens, token string, want error) {
	t.Helper()
	if viewer, err := tokens.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("got %+v, %v; want %v", viewer, err, want)
	}
}

func TestIssuerKinds(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *stand) {
		s.publish(t,
			published(t, k.rsa, map[string]any{"kid": "rsa", "use": "sig", "alg": "RS256"}),
			published(t, k.p256, map[string]any{"kid": "ec"}),
			published(t, k.ed, map[string]any{"kid": "ed", "key_ops": []string{"verify"}}),
			published(t, k.rsa, map[string]any{"kid": "for encryption", "use": "enc"}),
			published(t, k.rsa, map[string]any{"kid": "to sign", "key_ops": []string{"sign"}}),
			published(t, k.rsa, map[string]any{"kid": "for another alg", "alg": "PS256"}),
			published(t, k.weak, map[string]any{"kid": "weak"}),
			published(t, k.p384, map[string]any{"kid": "another curve"}),
			published(t, []byte("a secret that somebody published, 32 bytes"), map[string]any{"kid": "secret", "alg": "HS256"}),
			map[string]any{"kty": "of the future", "kid": "unknown"})
	}, func(t *testing.T, s *stand, tokens *Tokens, log *bytes.Buffer) {
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "rsa", endsSoon()))
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "", endsSoon()))
		accepts(t, tokens, signed(t, jwa.ES256, k.p256, "ec", endsSoon()))
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "ed", endsSoon()))
		for name, token := range map[string]string{
			"a key for encryption":        signed(t, jwa.RS256, k.rsa, "for encryption", endsSoon()),
			"a key that may only sign":    signed(t, jwa.RS256, k.rsa, "to sign", endsSoon()),
			"another algorithm's key":     signed(t, jwa.RS256, k.rsa, "for another alg", endsSoon()),
			"an algorithm without a seat": signed(t, jwa.PS256, k.rsa, "rsa", endsSoon()),
			"a longer hash":               signed(t, jwa.RS512, k.rsa, "rsa", endsSoon()),
			"a weak key":                  signed(t, jwa.RS256, k.weak, "weak", endsSoon()),
			"another curve":               signed(t, jwa.ES384, k.p384, "another curve", endsSoon()),
			"a published secret":          signed(t, jwa.HS256, []byte("a secret that somebody published, 32 bytes"), "secret", endsSoon()),
			"another key's id":            signed(t, jwa.RS256, k.rsa, "ec", endsSoon()),
			"a key of nobody":             signed(t, jwa.EdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), "ed", endsSoon()),
			"a key of nobody, no id":      signed(t, jwa.EdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), "", endsSoon()),
		} {
			if viewer, err := tokens.Verify(t.Context(), token); !errors.Is(err, errTokenInvalid) {
				t.Errorf("%s: %+v, %v", name, viewer, err)
			}
		}
		if !strings.Contains(log.String(), "keys=3") || strings.Contains(log.String(), "hidden") {
			t.Errorf("the log says %s", log)
		}
	})
}

func TestIssuerRotates(t *testing.T) {
	k := issuerKeys()
	old := published(t, k.rsa, map[string]any{"kid": "old"})
	bubble(t, func(s *stand) { s.publish(t, old) }, func(t *testing.T, s *stand, tokens *Tokens, _ *bytes.Buffer) {
		s.publish(t, old, published(t, k.ed, map[string]any{"kid": "new"}))
		before := s.count()
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "new", endsSoon()))
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "new", endsSoon()))
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "old", endsSoon()))
		if got := s.count() - before; got != 1 {
			t.Errorf("a new key costs %d requests", got)
		}
		for range 200 {
			refuses(t, tokens, signed(t, jwa.ES256, k.p256, rand.Text(), endsSoon()), errTokenInvalid)
			refuses(t, tokens, signed(t, jwa.ES256, k.p256, "", endsSoon()), errTokenInvalid)
		}
		if got := s.count() - before; got != 1 {
			t.Errorf("400 bad tokens cost %d requests", got-1)
		}
		time.Sleep(issuerRest)
		s.publish(t, published(t, k.p256, map[string]any{"kid": "newest"}))
		accepts(t, tokens, signed(t, jwa.ES256, k.p256, "newest", endsSoon()))
		refuses(t, tokens, signed(t, jwa.RS256, k.rsa, "old", endsSoon()), errTokenInvalid)
	})
}

func TestIssuerWithdrawsAKey(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *stand) { s.publish(t, published(t, k.ed, map[string]any{"kid": "stolen"})) },
		func(t *testing.T, s *stand, tokens *Tokens, log *bytes.Buffer) {
			token := signed(t, jwa.EdDSA, k.ed, "stolen", endsSoon())
			accepts(t, tokens, token)
			s.publish(t)
			time.Sleep(issuerRefresh)
			synctest.Wait()
			refuses(t, tokens, token, errTokenInvalid)
			if !strings.Contains(log.String(), "has no key") {
				t.Errorf("the log says %s", log)
			}
		})
}

func TestIssuerIsAwayAtTheStart(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *stand) { s.fail() }, func(t *testing.T, s *stand, tokens *Tokens, log *bytes.Buffer) {
		token := signed(t, jwa.EdDSA, k.ed, "ed", endsSoon())
		refuses(t, tokens, token, errIssuerUnknown)
		if hs, _, err := tokens.Sign("7", "", time.Hour); err != nil {
			t.Error(err)
		} else {
			accepts(t, tokens, hs)
		}
		asked := s.count()
		for range 100 {
			refuses(t, tokens, token, errIssuerUnknown)
		}
		if s.count() != asked {
			t.Errorf("100 tokens cost %d requests", s.count()-asked)
		}
		if got := strings.Count(log.String(), "does not answer: its tokens are refused"); got != 1 {
			t.Errorf("%d warnings in %s", got, log)
		}
		s.publish(t, published(t, k.ed, map[string]any{"kid": "ed"}))
		time.Sleep(lastIssuerPause)
		synctest.Wait()
		accepts(t, tokens, token)
	})
}

func TestIssuerGoesAway(t *testing.T) {
	k := issuerKeys()
	good := published(t, k.ed, map[string]any{"kid": "ed"})
	for name, broken := range map[string]func(*stand){
		"no connection":  func(s *stand) { s.fail() },
		"an error":       func(s *stand) { s.say(http.StatusInternalServerError, `{"keys":[]}`) },
		"a page":         func(s *stand) { s.say(http.StatusOK, "<html>maintenance</html>") },
		"another object": func(s *stand) { s.say(http.StatusOK, `{"error":"away"}`) },
		"too much":       func(s *stand) { s.say(http.StatusOK, `{"keys":[],"more":"`+strings.Repeat("x", maxKeySet)+`"}`) },
		"silence": func(s *stand) {
			s.set(func() (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(silence{})}, nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *stand) { s.publish(t, good) }, func(t *testing.T, s *stand, tokens *Tokens, log *bytes.Buffer) {
				broken(s)
				time.Sleep(3 * issuerRefresh)
				synctest.Wait()
				accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "ed", endsSoon()))
				if got := strings.Count(log.String(), "its last keys go on counting"); got != 1 {
					t.Errorf("%d warnings in %s", got, log)
				}
				s.publish(t, good)
				time.Sleep(lastIssuerPause)
				synctest.Wait()
				if got := strings.Count(log.String(), "the issuer's keys are known"); got != 2 {
					t.Errorf("the return is not told of: %s", log)
				}
			})
		})
	}
}

// silence is a body that ends after longer than anybody waits.
type silence struct{}

// Read implements io.Reader.
func (silence) Read([]byte) (int, error) {
	time.Sleep(2 * issuerTimeout)
	return 0, context.DeadlineExceeded
}

func TestManyTokensWaitForOneFetch(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *stand) { s.publish(t) }, func(t *testing.T, s *stand, tokens *Tokens, _ *bytes.Buffer) {
		body, err := json.Marshal(map[string]any{"keys": []any{published(t, k.ed, map[string]any{"kid": "new"})}})
		if err != nil {
			t.Fatal(err)
		}
		before := s.count()
		s.set(func() (*http.Response, error) {
			time.Sleep(issuerTimeout / 2)
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "new", endsSoon())) })
		}
		all.Wait()
		if got := s.count() - before; got != 1 {
			t.Errorf("50 tokens cost %d requests", got)
		}
	})
}

func TestIssuerFollowsNoRedirectOutOfEncryption(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]bool{"https://other.example/keys": true, "http://other.example/keys": false} {
		from, err := http.NewRequest(http.MethodGet, "https://issuer.example/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		next, err := http.NewRequest(http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := followRedirect(next, []*http.Request{from}) == nil; got != want {
			t.Errorf("to %s: %v", to, got)
		}
	}
}
