//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

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
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// issuer is a foreign issuer of tokens: a web server with a JWK Set.
type issuer struct {
	t     *testing.T
	keys  atomic.Pointer[[]byte]
	asked atomic.Int64
}

// ServeHTTP implements http.Handler.
func (i *issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.asked.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.Write(*i.keys.Load())
}

// publish replaces the set by public keys with their ids.
func (i *issuer) publish(keys map[string]crypto.Signer) {
	i.t.Helper()
	set := jwk.NewSet()
	for id, key := range keys {
		public, err := jwk.FromRaw(key.Public())
		if err != nil {
			i.t.Fatal(err)
		}
		if err := public.Set(jwk.KeyIDKey, id); err != nil {
			i.t.Fatal(err)
		}
		if err := set.AddKey(public); err != nil {
			i.t.Fatal(err)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		i.t.Fatal(err)
	}
	i.keys.Store(&text)
}

// issuedBy returns claims signed with a key whose id is given.
func issuedBy(t *testing.T, algorithm jwa.SignatureAlgorithm, key any, id string, claims map[string]any) string {
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

// signers makes a key of each kind.
func signers(t *testing.T) (*rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey) {
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

// TestForeignTokens offers good and bad tokens of a foreign issuer in the ways in whose sender learns why he is refused.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	r, e, d := signers(t)
	foreign := &issuer{t: t}
	foreign.publish(map[string]crypto.Signer{"r": r, "e": e, "d": d})
	web := httptest.NewServer(foreign)
	t.Cleanup(web.Close)
	s := setStage(t, "--jwks-url", web.URL)
	s.output.await(t, "the issuer's keys are known")
	now := time.Now().Unix()
	claims := func(more ...any) map[string]any {
		made := map[string]any{"sub": s.owner.UserID, "exp": now + 3600}
		for i := 0; i+1 < len(more); i += 2 {
			if made[more[i].(string)] = more[i+1]; more[i+1] == nil {
				delete(made, more[i].(string))
			}
		}
		return made
	}
	der, err := x509.MarshalPKIXPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	payload, err := json.Marshal(claims())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"HS256":                     {s.token, true},
		"RS256":                     {issuedBy(t, jwa.RS256, r, "r", claims()), true},
		"ES256":                     {issuedBy(t, jwa.ES256, e, "e", claims()), true},
		"EdDSA":                     {issuedBy(t, jwa.EdDSA, d, "d", claims()), true},
		"within the skew":           {issuedBy(t, jwa.EdDSA, d, "d", claims("nbf", now+40, "iat", now+40)), true},
		"alg none":                  {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", false},
		"an RSA key as HMAC secret": {issuedBy(t, jwa.HS256, public, "r", claims()), false},
		"an RSA key under ES256":    {issuedBy(t, jwa.RS256, r, "e", claims()), false},
		"RS512":                     {issuedBy(t, jwa.RS512, r, "r", claims()), false},
		"no exp":                    {issuedBy(t, jwa.EdDSA, d, "d", claims("exp", nil)), false},
		"ended":                     {issuedBy(t, jwa.EdDSA, d, "d", claims("exp", now-90)), false},
		"begins later":              {issuedBy(t, jwa.EdDSA, d, "d", claims("nbf", now+120)), false},
		"issued in the future":      {issuedBy(t, jwa.EdDSA, d, "d", claims("iat", now+120)), false},
		"issued in milliseconds":    {issuedBy(t, jwa.EdDSA, d, "d", claims("iat", now*1000)), false},
		"no user":                   {issuedBy(t, jwa.EdDSA, d, "d", claims("sub", nil)), false},
		"an unknown key":            {issuedBy(t, jwa.EdDSA, d, "nobody's", claims()), false},
	} {
		header := http.Header{"Authorization": {"Bearer " + test.token}}
		protocols := &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + test.token}}
		status, ws := s.upgrade(t, "?ownerId="+s.owner.ID, header), s.dial(t, "?ownerId="+s.owner.ID, protocols)
		if test.good {
			if status != http.StatusSwitchingProtocols {
				t.Errorf("%s: the header is answered by %d", name, status)
			}
			ws.next(of("connection_established"))
			continue
		}
		if code := ws.end(); status != http.StatusUnauthorized || code != 4401 {
			t.Errorf("%s: the header is answered by %d, the sub-protocol by %d", name, status, code)
		}
	}
	if asked := foreign.asked.Load(); asked > 2 { // the start, and the unknown key
		t.Errorf("the issuer was asked %d times", asked)
	}
}

// TestIssuerComesAndGoes starts without the issuer, lets it come, change its key, and go.
func TestIssuerComesAndGoes(t *testing.T) {
	t.Parallel()
	_, e, d := signers(t)
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	reserved.Close()
	s := setStage(t, "--jwks-url", "http://"+address+"/keys?tenant=hidden", "--jwt-secret", "")
	s.output.await(t, "the issuer at JWKS_URL does not answer: its tokens are refused until it does")
	claims := map[string]any{"userId": json.Number(s.owner.UserID), "exp": time.Now().Add(time.Hour).Unix()}
	first, second := issuedBy(t, jwa.ES256, e, "first", claims), issuedBy(t, jwa.EdDSA, d, "second", claims)
	if status, header, body := s.get(t, "auth/me", first); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("while nobody can tell, a token is answered by %d %v", status, body)
	}
	if status, _, body := s.get(t, "auth/me", s.token); status != http.StatusUnauthorized {
		t.Errorf("without JWT_SECRET an HS256 token is answered by %d %v", status, body)
	}

	foreign := &issuer{t: t}
	foreign.publish(map[string]crypto.Signer{"first": e})
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: foreign}
	go web.Serve(again)
	t.Cleanup(func() { web.Close() })
	s.output.await(t, "the issuer's keys are known")
	ws := s.connect(t, first, s.owner.ID, "")
	ws.next(of("connection_established"))

	foreign.publish(map[string]crypto.Signer{"first": e, "second": d})
	eventually(t, "accepting the new key", func() bool { // the first token that came too early may have had the keys fetched just before
		status, _, _ := s.get(t, "auth/me", second)
		return status == http.StatusOK
	})
	web.Close()
	for _, token := range []string{first, second} {
		if status, _, body := s.get(t, "auth/me", token); status != http.StatusOK {
			t.Errorf("with the issuer away a good token is answered by %d %v", status, body)
		}
	}
	if strings.Contains(s.output.String(), "hidden") {
		t.Error("the log shows the query of JWKS_URL")
	}
}

func TestJWKSSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no address":                {[]string{"serve", "--jwks-url", "issuer.example"}, "JWKS_URL"},
		"a file":                    {[]string{"serve", "--jwks-url", "file:///etc/keys"}, "JWKS_URL"},
		"a public key as a secret":  {[]string{"serve", "--jwt-secret=-----BEGIN PUBLIC KEY----- MIIBIjANBgkq"}, "JWKS_URL"},
		"a token without a secret":  {[]string{"token", "--user", "1", "--database-url", "postgres://h/d", "--jwks-url", "https://issuer.example/keys"}, "JWT_SECRET"},
		"neither secret nor issuer": {[]string{"serve", "--database-url", "postgres://h/d"}, "JWT_SECRET is missing"},
	} {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		code := run(ctx, append(test.args, "--data-dir", dbtest.Dir(t)), &out, &out)
		cancel()
		if code != 1 || !strings.Contains(out.String(), test.says) || strings.Contains(out.String(), "MIIBIjANBgkq") {
			t.Errorf("%s: exit code %d, %s", name, code, out.String())
		}
	}
	var out bytes.Buffer
	args := []string{"token", "--user", "7", "--jwt-secret", testSecret, "--database-url", "postgres://h/d", "--jwks-url", "https://issuer.example/keys"}
	if code := run(t.Context(), args, &out, &out); code != 0 || strings.Count(out.String(), ".") != 2 {
		t.Errorf("a token under both: %d %s", code, fmt.Sprint(&out))
	}
}
