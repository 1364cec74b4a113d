package api

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// inPEM returns the public part of a key in PEM.
func inPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestWhatIsNoKeySet sees that an operator is told what came in place of keys, and what to do.
func TestWhatIsNoKeySet(t *testing.T) {
	t.Parallel()
	k := issuerKeys()
	private, err := x509.MarshalPKCS8PrivateKey(k.ed)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                          "empty",
		"<!doctype html><html>":     "a page in HTML",
		"not found":                 "neither JSON nor PEM",
		"{}":                        "an empty object",
		`{"error":"no such thing"}`: "JSON without keys",
		`{"issuer":"https://a.example","jwks_uri":"https://a.example/keys?x=y"}`: "set JWKS_URL to its jwks_uri, https://a.example/keys",
		`{"jwks_uri":7}`:             "a discovery document",
		"-----BEGIN PUBLIC KEY-----": "PEM without a whole public key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})):          "a private key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("damaged")})): "damaged",
	} {
		if _, err := parseKeys([]byte(text)); !errors.Is(err, errNoKeySet) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	for what, text := range map[string]string{
		"a single JWK":  asText(t, published(t, k.ed, map[string]any{"kid": "one"})),
		"PEM":           "# a comment\n" + inPEM(t, k.rsa),
		"certificates":  asText(t, map[string]string{"one": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificateOf(t, k.p256)}))}),
		"a mark before": "\ufeff\n" + `{"keys":[` + asText(t, published(t, k.ed, nil)) + `]}`,
	} {
		set, err := parseKeys([]byte(text))
		if what == "PEM" {
			set, err = parseKeys([]byte(inPEM(t, k.rsa) + text))
			set.keys = set.keys[:min(1, len(set.keys))]
		}
		if err != nil || len(set.keys) != 1 {
			t.Errorf("%s: %+v, %v", what, set, err)
		}
	}
}

func asText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManyKeys sees that none of many keys is lost without a word.
func TestManyKeys(t *testing.T) {
	k := issuerKeys()
	var keys []any
	for n := range 70 {
		keys = append(keys, published(t, k.p256, map[string]any{"kid": fmt.Sprint(n)}))
	}
	keys = append(keys, published(t, k.ed, map[string]any{"kid": "last"}))
	bubble(t, func(s *fakeIssuer) { s.publish(t, keys...) }, func(t *testing.T, s *fakeIssuer, tokens *Tokens, log *bytes.Buffer) {
		accepts(t, tokens, signed(t, jwa.EdDSA, k.ed, "last", endsSoon()))
		if !strings.Contains(log.String(), "many keys") {
			t.Errorf("the log says %s", log)
		}
		few := keys[:70]
		for len(few) <= maxKeys {
			few = append(few, few[0])
		}
		s.publish(t, few...)
		time.Sleep(issuerRefresh + time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), "more keys than are kept") {
			t.Errorf("the log says %s", log)
		}
	})
}

// TestKeyFileChanges replaces a file of keys while it is used: by renaming and by writing
// over it, whole and half.
func TestKeyFileChanges(t *testing.T) {
	t.Parallel()
	k, path := issuerKeys(), filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := new(bytes.Buffer)
	for text, want := range map[string]string{"": "empty", "{}": "an empty object", `{"keys":[]}`: "it has no key"} {
		write(text)
		if _, err := NewKeyFile(path, slog.New(slog.NewTextHandler(log, nil))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewKeyFile(path+".missing", slog.New(slog.NewTextHandler(log, nil))); err == nil {
		t.Error("a missing file is taken")
	}
	write(inPEM(t, k.p384))
	issuer, err := NewKeyFile(path, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	tokens := NewTokens(nil)
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
	old, next := signed(t, jwa.ES384, k.p384, "named by its signer", endsSoon()), signed(t, jwa.EdDSA, k.ed, "", endsSoon())
	accepts(t, tokens, old)
	for range 50 {
		refuses(t, tokens, next, reasonKey)
	}
	if err := os.WriteFile(path+".new", []byte(inPEM(t, k.ed)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	accepts(t, tokens, next)
	refuses(t, tokens, old, reasonKey)
	write(inPEM(t, k.ed)[:40]) // half written: the last keys count
	accepts(t, tokens, next)
	refuses(t, tokens, signed(t, jwa.ES384, k.p384, "never seen", endsSoon()), reasonLater)
	write(`{"keys":[` + asText(t, published(t, k.p384, map[string]any{"kid": "named by its signer"})) + `]}`)
	accepts(t, tokens, old)
}
