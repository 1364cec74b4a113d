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
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// issuerKeys are private keys of every kind that counts, and of one that is too weak. RSA
// keys are slow to make.
var issuerKeys = sync.OnceValue(func() (k struct {
	rsa, weak *rsa.PrivateKey
	p256      *ecdsa.PrivateKey
	p384      *ecdsa.PrivateKey
	p521      *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
}) {
	var errs [6]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.weak, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	k.p256, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p384, errs[3] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, k.ed, errs[4] = ed25519.GenerateKey(rand.Reader)
	k.p521, errs[5] = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
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

// fakeIssuer is an issuer without a network: it answers as it is told to, and counts how often
// it is asked.
type fakeIssuer struct {
	mu     sync.Mutex
	asked  int
	answer func() (*http.Response, error)
}

// RoundTrip implements http.RoundTripper.
func (s *fakeIssuer) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	answer := s.answer
	s.mu.Unlock()
	return answer()
}

func (s *fakeIssuer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *fakeIssuer) say(status int, body string) {
	s.set(func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}, nil
	})
}

func (s *fakeIssuer) publish(t *testing.T, keys ...any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	s.say(http.StatusOK, string(body))
}

func (s *fakeIssuer) fail() {
	s.set(func() (*http.Response, error) { return nil, errors.New("no route to the issuer") })
}

func (s *fakeIssuer) set(answer func() (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// bubble runs a test in a bubble of its own time, with an issuer whose keys are kept fresh.
func bubble(t *testing.T, prepare func(*fakeIssuer), test func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer)) {
	issuerKeys() // real time
	synctest.Test(t, func(t *testing.T) {
		s, log := new(fakeIssuer), new(bytes.Buffer)
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

// refuses wants a token to be refused for one of some reasons, in words that tell its
// sender nothing of them.
func refuses(t *testing.T, tokens *Tokens, token string, want ...string) {
	t.Helper()
	viewer, err := tokens.Verify(t.Context(), token)
	reason, _ := reasonOf(err)
	if err == nil || !slices.Contains(want, reason) {
		t.Errorf("got %+v, %v for %q; want %v", viewer, err, reason, want)
		return
	}
	var later *handlers.TryLater
	if isLater := errors.As(err, &later); isLater != (reason == reasonLater) || isLater && later.RetryAfter <= 0 {
		t.Errorf("%v is told as %+v", want, err)
	}
}

func TestIssuerKinds(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) {
		s.publish(t,
			published(t, k.rsa, map[string]any{"kid": "rsa", "use": "sig"}),
			published(t, k.rsa, map[string]any{"kid": "of one alg", "alg": "RS256"}),
			published(t, k.p256, map[string]any{"kid": "ec"}),
			published(t, k.p384, map[string]any{"kid": "ec384", "alg": "ES384"}),
			published(t, k.p521, map[string]any{"kid": "ec521"}),
			published(t, k.ed, map[string]any{"kid": "ed", "key_ops": []string{"verify"}}),
			published(t, k.ed, map[string]any{"kid": "ed by its new name", "alg": "Ed25519"}),
			published(t, k.rsa, map[string]any{"kid": "for encryption", "use": "enc"}),
			published(t, k.rsa, map[string]any{"kid": "to sign", "key_ops": []string{"sign"}}),
			published(t, k.rsa, map[string]any{"kid": "for another alg", "alg": "PS384"}),
			published(t, k.weak, map[string]any{"kid": "weak"}),
			published(t, []byte("a secret that somebody published, 32 bytes"), map[string]any{"kid": "secret", "alg": "HS256"}),
			map[string]any{"kty": "RSA", "kid": "in a certificate", "x5c": []string{base64.StdEncoding.EncodeToString(certificateOf(t, k.rsa))}},
			map[string]any{"kty": "of the future", "kid": "unknown"})
	}, func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer) {
		for _, algorithm := range []jwa.SignatureAlgorithm{jwa.RS256, jwa.RS384, jwa.RS512, jwa.PS256} {
			accepts(t, tokens, signed(t, algorithm, k.rsa, "rsa", endsSoon()))
		}
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "", endsSoon()))
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "of one alg", endsSoon()))
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "in a certificate", endsSoon()))
		accepts(t, tokens, signed(t, jwa.ES256, k.p256, "ec", endsSoon()))
		accepts(t, tokens, signed(t, jwa.ES384, k.p384, "ec384", endsSoon()))
		accepts(t, tokens, signed(t, jwa.ES512, k.p521, "ec521", endsSoon()))
		for _, id := range []string{"ed", "ed by its new name"} {
			accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, id, endsSoon()))
			accepts(t, tokens, byNewName(t, k.ed, id, endsSoon()))
		}
		for name, test := range map[string]struct{ token, reason string }{
			"a key for encryption":        {signed(t, jwa.RS256, k.rsa, "for encryption", endsSoon()), reasonKey},
			"a key that may only sign":    {signed(t, jwa.RS256, k.rsa, "to sign", endsSoon()), reasonKey},
			"another algorithm's key":     {signed(t, jwa.RS256, k.rsa, "for another alg", endsSoon()), reasonKey},
			"another of its algorithms":   {signed(t, jwa.RS384, k.rsa, "of one alg", endsSoon()), reasonSignature},
			"an algorithm without a seat": {signed(t, jwa.PS384, k.rsa, "rsa", endsSoon()), reasonAlgorithm},
			"a weak key":                  {signed(t, jwa.RS256, k.weak, "weak", endsSoon()), reasonKey},
			"a published secret":          {signed(t, jwa.HS256, []byte("a secret that somebody published, 32 bytes"), "secret", endsSoon()), reasonSignature},
			"another key's id":            {signed(t, jwa.RS256, k.rsa, "ec", endsSoon()), reasonSignature},
			"a key of nobody":             {signed(t, jwa.EdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), "ed", endsSoon()), reasonSignature},
			"a key of nobody, no id":      {signed(t, jwa.EdDSA, ed25519.NewKeyFromSeed(make([]byte, 32)), "", endsSoon()), reasonKey},
		} {
			time.Sleep(minFetchInterval)
			viewer, err := tokens.Verify(t.Context(), test.token)
			if reason, _ := reasonOf(err); err == nil || reason != test.reason || err.Error() != errTokenInvalid.Error() {
				t.Errorf("%s: %+v, %v for %q, want %q", name, viewer, err, reason, test.reason)
			}
		}
		if !strings.Contains(log.String(), "keys=8") || strings.Contains(log.String(), "hidden") {
			t.Errorf("the log says %s", log)
		}
	})
}

// byNewName is signed for Ed25519 under the name that RFC 9864 gives it.
func byNewName(t *testing.T, key ed25519.PrivateKey, id string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := encode(`{"alg":"Ed25519","kid":"`+id+`"}`) + "." + encode(string(payload))
	return text + "." + encode(string(ed25519.Sign(key, []byte(text))))
}

// certificateOf returns a certificate of a key, signed by itself.
func certificateOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestIssuerRotates(t *testing.T) {
	k := issuerKeys()
	old := published(t, k.rsa, map[string]any{"kid": "old"})
	bubble(t, func(s *fakeIssuer) { s.publish(t, old) }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
		s.publish(t, old, published(t, k.ed, map[string]any{"kid": "new"}))
		before := s.count()
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "new", endsSoon()))
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "new", endsSoon()))
		accepts(t, tokens, signed(t, jwa.RS256, k.rsa, "old", endsSoon()))
		if got := s.count() - before; got != 1 {
			t.Errorf("a new key costs %d requests", got)
		}
		for range 200 {
			refuses(t, tokens, signed(t, jwa.ES256, k.p256, rand.Text(), endsSoon()), reasonLater)
			refuses(t, tokens, signed(t, jwa.ES256, k.p256, "", endsSoon()), reasonLater)
		}
		if got := s.count() - before; got != 1 {
			t.Errorf("400 bad tokens cost %d requests", got-1)
		}
		time.Sleep(minFetchInterval)
		s.publish(t, published(t, k.p256, map[string]any{"kid": "newest"}))
		accepts(t, tokens, signed(t, jwa.ES256, k.p256, "newest", endsSoon()))
		refuses(t, tokens, signed(t, jwa.RS256, k.rsa, "old", endsSoon()), reasonLater)
	})
}

// TestRotationUnderGarbage sends tokens with unknown keys all the time, while the issuer
// takes a new key, and one under an old id: good tokens may have to wait, but are never
// called bad, and then they count.
func TestRotationUnderGarbage(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t, published(t, k.p256, map[string]any{"kid": "a"})) },
		func(t *testing.T, s *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
			before, began := s.count(), time.Now()
			garbage := func() {
				refuses(t, tokens, signed(t, jwa.ES256, k.p256, rand.Text(), endsSoon()), reasonLater, reasonKey)
			}
			garbage()
			s.publish(t, published(t, k.rsa, map[string]any{"kid": "a"}), published(t, k.ed, map[string]any{"kid": "b"}))
			time.Sleep(time.Second)
			claims := endsSoon()
			claims["iat"] = time.Now().Unix()
			waiting := map[string]bool{signed(t, jwa.EdDSA, k.ed, "b", claims): true, signed(t, jwa.RS256, k.rsa, "a", claims): true}
			for len(waiting) > 0 && time.Since(began) < time.Minute {
				garbage()
				for token := range waiting {
					if _, err := tokens.Verify(t.Context(), token); err == nil {
						delete(waiting, token)
					} else {
						refuses(t, tokens, token, reasonLater)
					}
				}
				time.Sleep(500 * time.Millisecond)
			}
			if took := time.Since(began); len(waiting) > 0 || took > minFetchInterval+time.Second {
				t.Errorf("%d good tokens do not count after %s", len(waiting), took)
			}
			if got := s.count() - before; got > 2 {
				t.Errorf("%d requests", got)
			}
		})
}

// TestSameKeyIDNewKey sees that a key which was replaced under its id counts at once, and that
// tokens of the old one are refused.
func TestSameKeyIDNewKey(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t, published(t, k.p256, map[string]any{"kid": "a"})) },
		func(t *testing.T, s *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
			old := signed(t, jwa.ES256, k.p256, "a", endsSoon())
			accepts(t, tokens, old)
			s.publish(t, published(t, k.ed, map[string]any{"kid": "a"}))
			accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "a", endsSoon()))
			refuses(t, tokens, old, reasonSignature)
		})
}

// TestTokenBeforeItsKey sees that a token which is used before its key is published counts as soon
// as it is. One whose key never comes is called bad by a fetch that began after it had come.
func TestTokenBeforeItsKey(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t) }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
		refuses(t, tokens, signed(t, jwa.ES256, k.p256, "garbage", endsSoon()), reasonKey)
		early, never := signed(t, jwa.EdDSA, k.ed, "ed", endsSoon()), signed(t, jwa.RS256, k.rsa, "never", endsSoon())
		refuses(t, tokens, early, reasonLater)
		refuses(t, tokens, never, reasonLater)
		s.publish(t, published(t, k.ed, map[string]any{"kid": "ed"}))
		time.Sleep(minFetchInterval)
		accepts(t, tokens, early)
		before := s.count()
		refuses(t, tokens, never, reasonKey)
		if s.count() != before {
			t.Error("a token is asked for again whose key was looked for after it came")
		}
	})
}

func TestIssuerWithdrawsAKey(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t, published(t, k.ed, map[string]any{"kid": "stolen"})) },
		func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer) {
			token := signed(t, jwa.EdDSA, k.ed, "stolen", endsSoon())
			accepts(t, tokens, token)
			s.publish(t)
			time.Sleep(issuerRefresh)
			synctest.Wait()
			refuses(t, tokens, token, reasonKey)
			if !strings.Contains(log.String(), "has no key") {
				t.Errorf("the log says %s", log)
			}
		})
}

func TestIssuerIsAwayAtTheStart(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.fail() }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer) {
		token := signed(t, jwa.EdDSA, k.ed, "ed", endsSoon())
		refuses(t, tokens, token, reasonLater)
		if hs, _, err := tokens.Sign("7", "", time.Hour); err != nil {
			t.Error(err)
		} else {
			accepts(t, tokens, hs)
		}
		asked := s.count()
		for range 100 {
			refuses(t, tokens, token, reasonLater)
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
	for name, broken := range map[string]func(*fakeIssuer){
		"no connection":  func(s *fakeIssuer) { s.fail() },
		"an error":       func(s *fakeIssuer) { s.say(http.StatusInternalServerError, `{"keys":[]}`) },
		"a page":         func(s *fakeIssuer) { s.say(http.StatusOK, "<html>maintenance</html>") },
		"another object": func(s *fakeIssuer) { s.say(http.StatusOK, `{"error":"away"}`) },
		"too much":       func(s *fakeIssuer) { s.say(http.StatusOK, `{"keys":[],"more":"`+strings.Repeat("x", maxKeySet)+`"}`) },
		"silence": func(s *fakeIssuer) {
			s.set(func() (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(endlessBody{})}, nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *fakeIssuer) { s.publish(t, good) }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer) {
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

// endlessBody is a body that ends after longer than anybody waits.
type endlessBody struct{}

// Read implements io.Reader.
func (endlessBody) Read([]byte) (int, error) {
	time.Sleep(2 * issuerTimeout)
	return 0, context.DeadlineExceeded
}

func TestManyTokensWaitForOneFetch(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t) }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
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
	for to, want := range map[string]bool{"https://other.example/keys": true, "http://other.example/keys": false, "http://localhost/keys": false} {
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
