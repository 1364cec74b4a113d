package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/hangarshare/hangarshare-realtime/db"
)

func TestClaimsByNameAndPointer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ claims, names, want string }{
		{`{"https://portal.example/user_id":"7","sub":"8"}`, "https://portal.example/user_id", "7"},
		{`{"custom:user_id":"7"}`, "custom:user_id", "7"},
		{`{"app_metadata":{"portal":{"id":7}}}`, "/app_metadata/portal/id", "7"},
		{`{"https://portal.example":{"user_id":7}}`, "/https:~1~1portal.example/user_id", "7"},
		{`{"a~b":{"":[5,7]}}`, "/a~0b//1", "7"},
		{`{"a":[7]}`, "/a/00", ""},
		{`{"a":[7]}`, "/a/1", ""},
		{`{"a":[7]}`, "/a/-", ""},
		{`{"a":"7"}`, "/a/0", ""},
		{`{"a":null}`, "/a/0", ""},
		{`{"a.b":7}`, "a.b", "7"},
		{`{"a":{"b":7}}`, "a.b", ""},
		{`{"SUB":"7"}`, "sub", ""},
		{`{"b":"7"}`, "a b", "7"},         // the first is not present
		{`{"a":null,"b":"7"}`, "a b", ""}, // the first is present, and no id
		{`{"a":[],"b":"7"}`, "a b", ""},
	} {
		var said claims
		if err := json.Unmarshal([]byte(test.claims), &said); err != nil {
			t.Fatal(err)
		}
		if _, got, err := said.user(strings.Fields(test.names)); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s of %s: %q, %v; want %q", test.names, test.claims, got, err, test.want)
		}
	}
}

func TestRequiredClaims(t *testing.T) {
	t.Parallel()
	said := claims{
		"token_type": json.RawMessage(`"access"`), "roles": json.RawMessage(`["owner","guest"]`), "scope": json.RawMessage(`"openid live"`),
		"n": json.RawMessage(`1`), "ok": json.RawMessage(`true`), "deep": json.RawMessage(`{"x":"y"}`), "note": json.RawMessage(`"openid live"`),
	}
	for text, want := range map[string]bool{
		"token_type=access": true, "token_type=acces": false, "roles=owner": true, "roles=own": false, "scope=live": true, "scope=liv": false,
		"note=live": false, "note=openid live": true, "n=1": true, "ok=true": true, "/deep/x=y": true, "deep=y": false, "missing=x": false,
		"missing=null": false,
	} {
		required, err := ParseRequiredClaims([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if err := said.checkRequired(required); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	either, err := ParseRequiredClaims([]string{"roles=admin", "roles=owner"})
	if err != nil || said.checkRequired(either) != nil {
		t.Errorf("one of two values: %v", err)
	}
	for _, text := range []string{"token_type", "=x", "x="} {
		if _, err := ParseRequiredClaims([]string{text}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestTokensOfOtherPurposes(t *testing.T) {
	t.Parallel()
	tokens, soon := NewTokens(hmacKey), time.Now().Add(time.Hour).Unix()
	for what, payload := range map[string]string{
		"a refresh token of Simple JWT":         `"sub":"1","token_type":"refresh"`,
		"one of Flask":                          `"sub":"1","type":"refresh"`,
		"one of Keycloak":                       `"sub":"1","typ":"Refresh"`,
		"one of Descope":                        `"sub":"1","drn":"DSR"`,
		"a client whose id is 1":                `"sub":"1","client_id":"1"`,
		"a client whose id is the number 1":     `"id":1,"client_id":1`,
		"a client of OpenID Connect":            `"sub":"1","azp":"1"`,
		"a client of Okta":                      `"sub":"1","cid":"1"`,
		"a client of Auth0":                     `"sub":"1","gty":"client-credentials"`,
		"a client of FusionAuth":                `"sub":"1","gty":["client_credentials"]`,
		"a client of UAA":                       `"sub":"1","grant_type":"client_credentials"`,
		"a client of Auth0, by its subject":     `"sub":"1@clients"`,
		"a client of Keycloak":                  `"sub":"1","preferred_username":"service-account-batch"`,
		"an application of Entra":               `"sub":"1","idtyp":"app"`,
		"an application of Entra without idtyp": `"sub":"1","oid":"1","appid":"x"`,
		"a program's assertion":                 `"sub":"1","iss":"1"`,
		"a logout token":                        `"sub":"1","events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
	} {
		_, err := tokens.Verify(t.Context(), sign(t, fmt.Sprintf(`{%s,"exp":%d}`, payload, soon)))
		if reason, _ := reasonOf(err); err == nil || reason != reasonPurpose {
			t.Errorf("%s: %v (%s)", what, err, reason)
		}
	}
	for what, payload := range map[string]string{
		"an access token of Simple JWT":    `"sub":"1","token_type":"access"`,
		"Keycloak's":                       `"sub":"1","typ":"Bearer","azp":"web"`,
		"a session token of Descope":       `"sub":"1","drn":"DS"`,
		"a user's, by password":            `"sub":"1","gty":"password"`,
		"Entra's of a user":                `"sub":"1","oid":"1","appid":"x","scp":"access"`,
		"Passport's, whose client is 1":    `"sub":"1","aud":"1","scopes":[]`,
		"a type that says something else":  `"sub":"1","type":"owner"`,
		"a user with a client beside them": `"sub":"1","client_id":"2"`,
	} {
		if _, err := tokens.Verify(t.Context(), sign(t, fmt.Sprintf(`{%s,"exp":%d}`, payload, soon))); err != nil {
			_, hint := reasonOf(err)
			t.Errorf("%s: %v (%s)", what, err, hint)
		}
	}
	for _, typ := range []string{"logout+jwt", "secevent+jwt", "dpop+jwt", "application/dpop+jwt", "kb+jwt"} {
		token := signedText(t, jwa.HS256, hmacKey, map[string]any{"typ": typ}, []byte(fmt.Sprintf(`{"sub":"1","exp":%d}`, soon)))
		if _, err := tokens.Verify(t.Context(), token); err == nil {
			t.Errorf("typ %s counts", typ)
		}
	}
}

// TestRefusalsAreTold sees that the operator is told why a token is refused, and nothing of it.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	tokens := NewTokens(hmacKey)
	tokens.LogTo(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	good := sign(t, fmt.Sprintf(`{"sub":"somebody","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	refuses(t, tokens, good[:len(good)-4]+"AAAA", reasonSignature)
	told := log.String()
	if !strings.Contains(told, "level=DEBUG") || !strings.Contains(told, "reason="+reasonSignature) || tokens.refused[reasonSignature].Load() != 1 {
		t.Errorf("the log says %q", told)
	}
	for part := range strings.SplitSeq(good, ".") {
		if strings.Contains(told, part[:8]) || strings.Contains(told, "somebody") {
			t.Errorf("the log tells of the token: %s", told)
		}
	}
}

// column counts how often users are looked for.
type column struct {
	asked int
	users map[string]string
	err   error
}

// UserID implements UserColumn.
func (c *column) UserID(_ context.Context, value string) (string, error) {
	c.asked++
	if c.err != nil {
		return "", c.err
	}
	if id, ok := c.users[value]; ok {
		return id, nil
	}
	return "", db.ErrNotFound
}

// TestUsersByColumn sees whose tokens a column names: those of an issuer, never ours, and the
// portal's only where it has no issuer beside it.
func TestUsersByColumn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &column{users: map[string]string{"auth0|7": "7", "1": "99"}}
		upper := func(id string) string { return "canonical " + id }
		both, alone := NewUsers(upper, c, true), NewUsers(upper, c, false)
		find := func(what string, u *Users, by signer, value, want string) {
			t.Helper()
			id, err := u.find(t.Context(), by, value)
			if err != nil {
				id, _ = reasonOf(err)
			}
			if id != want {
				t.Errorf("%s: %q, %v; want %q", what, id, err, want)
			}
		}
		find("an issuer's", both, signerIssuer, "auth0|7", "7")
		find("an issuer's, nobody", both, signerIssuer, "7", reasonUnknownUser)
		find("an issuer's, who is called as a user's id", both, signerIssuer, "1", "99")
		find("the portal's beside an issuer", both, signerPortal, "1", "canonical 1")
		find("the portal's alone", alone, signerPortal, "auth0|7", "7")
		find("ours", alone, signerSelf, "1", "canonical 1")
		before := c.asked
		for range 100 {
			find("remembered", both, signerIssuer, "auth0|7", "7")
		}
		if c.asked != before {
			t.Errorf("asked %d times for one user", c.asked-before)
		}
		c.users["auth0|7"] = "8"
		time.Sleep(userTTL)
		find("renamed", both, signerIssuer, "auth0|7", "8")
		c.err = db.ErrConflict
		find("two of them", both, signerIssuer, "auth0|9", reasonUnknownUser)
		c.err = db.ErrUnavailable
		find("with the database away", both, signerIssuer, "auth0|10", reasonLater)
	})
}

func TestIssuerAndAudience(t *testing.T) {
	k := issuerKeys()
	bubble(t, func(s *fakeIssuer) { s.publish(t, published(t, k.ed, map[string]any{"kid": "ed"})) }, func(t *testing.T, _ *fakeIssuer, tokens *Tokens, _ *bytes.Buffer) {
		tokens.Apply(Rules{UserClaims: DefaultUserClaims, Issuers: []string{"https://a.example/", "https://b.example"}, Audiences: []string{"live", "portal"}})
		with := func(iss, aud any) string {
			claims := endsSoon()
			claims["iss"], claims["aud"] = iss, aud
			return signed(t, jwa.EdDSA, k.ed, "ed", claims)
		}
		accepts(t, tokens, with("https://a.example/", "live"))
		accepts(t, tokens, with("https://b.example", []string{"other", "portal"}))
		refuses(t, tokens, with("https://a.example", "live"), reasonIssuer)
		refuses(t, tokens, with(nil, "live"), reasonIssuer)
		refuses(t, tokens, with("https://a.example/", "liv"), reasonAudience)
		refuses(t, tokens, with("https://a.example/", []string{}), reasonAudience)
		refuses(t, tokens, with("https://a.example/", nil), reasonAudience)
		// the portal's own have neither
		accepts(t, tokens, signed(t, jwa.HS256, hmacKey, "", endsSoon()))
		forged := endsSoon()
		forged["iss"], forged["aud"], forged["sid"] = ourselves, "live", "stolen"
		refuses(t, tokens, signed(t, jwa.EdDSA, k.ed, "ed", forged), reasonIssuer)
		if tokens.refused[reasonIssuer].Load() != 3 || tokens.refused[reasonAudience].Load() != 3 {
			t.Errorf("counted %d and %d", tokens.refused[reasonIssuer].Load(), tokens.refused[reasonAudience].Load())
		}
	})
}
