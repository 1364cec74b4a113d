// Package issuertest is a foreign issuer of tokens for tests: keys, a web server with their JWK
// Set, and signed tokens. It does not know who verifies them.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Issuer is a foreign issuer of tokens: a web server with a JWK Set.
type Issuer struct {
	T     *testing.T
	keys  atomic.Pointer[[]byte]
	Asked atomic.Int64
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.Asked.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.Write(*i.keys.Load())
}

// Publish replaces the set by public keys with their ids.
func (i *Issuer) Publish(keys map[string]crypto.Signer) {
	i.T.Helper()
	set := jwk.NewSet()
	for id, key := range keys {
		public, err := jwk.FromRaw(key.Public())
		if err != nil {
			i.T.Fatal(err)
		}
		if err := public.Set(jwk.KeyIDKey, id); err != nil {
			i.T.Fatal(err)
		}
		if err := set.AddKey(public); err != nil {
			i.T.Fatal(err)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		i.T.Fatal(err)
	}
	i.keys.Store(&text)
}

// Sign returns claims signed with a key whose id is given.
func Sign(t *testing.T, algorithm jwa.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	header := jws.NewHeaders()
	if err := header.Set(jws.KeyIDKey, id); err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.Sign(payload, jws.WithKey(algorithm, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// Signers makes a key of each kind.
func Signers(t *testing.T) (*rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r, e, d
}
