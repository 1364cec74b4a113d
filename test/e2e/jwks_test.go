//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestForeignTokens offers good and bad tokens of a foreign issuer in those ways whose sender can
// learn why a token is refused.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	r, e, d := issuertest.Signers(t)
	foreign := &issuertest.Issuer{T: t}
	foreign.Publish(map[string]crypto.Signer{"r": r, "e": e, "d": d})
	web := httptest.NewServer(foreign)
	t.Cleanup(web.Close)
	s := harness.NewSetup(t, "--jwks-url", web.URL)
	for _, told := range []string{"JWT_ISSUER is not set", "JWT_AUDIENCE is not set", "the issuer's keys are known"} {
		s.Output.Await(t, told)
	}
	now := time.Now().Unix()
	claims := func(more ...any) map[string]any {
		made := map[string]any{"sub": s.Owner.UserID, "exp": now + 3600}
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
	began := time.Now()
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"HS256":                     {s.Token, true},
		"RS256":                     {issuertest.Sign(t, jwa.RS256, r, "r", claims()), true},
		"ES256":                     {issuertest.Sign(t, jwa.ES256, e, "e", claims()), true},
		"EdDSA":                     {issuertest.Sign(t, jwa.EdDSA, d, "d", claims()), true},
		"within the skew":           {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("nbf", now+40, "iat", now+40)), true},
		"alg none":                  {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", false},
		"an RSA key as HMAC secret": {issuertest.Sign(t, jwa.HS256, public, "r", claims()), false},
		"an RSA key under ES256":    {issuertest.Sign(t, jwa.RS256, r, "e", claims()), false},
		"RS512":                     {issuertest.Sign(t, jwa.RS512, r, "r", claims()), true},
		"PS256":                     {issuertest.Sign(t, jwa.PS256, r, "r", claims()), true},
		"PS512":                     {issuertest.Sign(t, jwa.PS512, r, "r", claims()), false},
		"no exp":                    {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("exp", nil)), false},
		"ended":                     {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("exp", now-90)), false},
		"begins later":              {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("nbf", now+120)), false},
		"issued in the future":      {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("iat", now+120)), false},
		"issued in milliseconds":    {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("iat", now*1000)), false},
		"no user":                   {issuertest.Sign(t, jwa.EdDSA, d, "d", claims("sub", nil)), false},
		"an unknown key":            {issuertest.Sign(t, jwa.EdDSA, d, "nobody's", claims()), false},
	} {
		header := http.Header{"Authorization": {"Bearer " + test.token}}
		protocols := &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + test.token}}
		status, ws := s.Upgrade(t, "?ownerId="+s.Owner.ID, header), s.Dial(t, "?ownerId="+s.Owner.ID, protocols)
		if test.good {
			if status != http.StatusSwitchingProtocols {
				t.Errorf("%s: the header is answered by %d", name, status)
			}
			ws.Next(harness.OfType("connection_established"))
			continue
		}
		code := ws.End()
		if waits := name == "an unknown key" && status == http.StatusServiceUnavailable && code == 1013; waits {
			continue // the keys were fetched a moment before, for another token
		}
		if status != http.StatusUnauthorized || code != 4401 {
			t.Errorf("%s: the header is answered by %d, the sub-protocol by %d", name, status, code)
		}
	}
	// At the start, and for the unknown key; once more where ten seconds have gone since.
	if asked, may := foreign.Asked.Load(), 2+int64(time.Since(began)/(10*time.Second)); asked > may {
		t.Errorf("the issuer was asked %d times, %d at most were due", asked, may)
	}
}

// TestIssuerComesAndGoes starts without the issuer, lets it come, change its key, and go.
func TestIssuerComesAndGoes(t *testing.T) {
	t.Parallel()
	_, e, d := issuertest.Signers(t)
	address := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--jwks-url", "http://"+address+"/keys?tenant=hidden", "--jwt-secret", "")
	s.Output.Await(t, "the issuer at JWKS_URL does not answer: its tokens are refused until it does")
	claims := map[string]any{"userId": json.Number(s.Owner.UserID), "exp": time.Now().Add(time.Hour).Unix()}
	first, second := issuertest.Sign(t, jwa.ES256, e, "first", claims), issuertest.Sign(t, jwa.EdDSA, d, "second", claims)
	if status, header, body := s.WithoutRetries().Get(t, "auth/me", first); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("while nobody can tell, a token is answered by %d %v", status, body)
	}
	if status, _, body := s.Get(t, "auth/me", s.Token); status != http.StatusUnauthorized {
		t.Errorf("without JWT_SECRET an HS256 token is answered by %d %v", status, body)
	}

	foreign := &issuertest.Issuer{T: t}
	foreign.Publish(map[string]crypto.Signer{"first": e})
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: foreign}
	go web.Serve(again)
	t.Cleanup(func() { web.Close() })
	s.Output.Await(t, "the issuer's keys are known")
	ws := s.Connect(t, first, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))

	foreign.Publish(map[string]crypto.Signer{"first": e, "second": d})
	// the first token that came too early may have had the keys fetched just before
	harness.Eventually(t, "accepting the new key", func() bool {
		status, _, _ := s.Get(t, "auth/me", second)
		return status == http.StatusOK
	})
	web.Close()
	for _, token := range []string{first, second} {
		if status, _, body := s.Get(t, "auth/me", token); status != http.StatusOK {
			t.Errorf("with the issuer away a good token is answered by %d %v", status, body)
		}
	}
	if strings.Contains(s.Output.String(), "hidden") {
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
		ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
		code := harness.Run(ctx, append(test.args, "--data-dir", dbtest.Dir(t)), &out, &out)
		cancel()
		if code != 1 || !strings.Contains(out.String(), test.says) || strings.Contains(out.String(), "MIIBIjANBgkq") {
			t.Errorf("%s: exit code %d, %s", name, code, out.String())
		}
	}
	var out bytes.Buffer
	args := []string{"token", "--user", "7", "--jwt-secret", harness.Secret, "--database-url", "postgres://h/d", "--jwks-url", "https://issuer.example/keys"}
	if code := harness.Run(t.Context(), args, &out, &out); code != 0 || strings.Count(out.String(), ".") != 2 {
		t.Errorf("a token under both: %d %s", code, fmt.Sprint(&out))
	}
}
