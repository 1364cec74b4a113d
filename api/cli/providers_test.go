package cli

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db"
)

// provider is one sign-in: a token as it gives them out, whom it must be taken for under the
// settings of docs/sign-in.md, and tokens of its that must be refused.
type provider struct {
	algorithm jwa.SignatureAlgorithm // HS256: signed with the secret of the settings
	header    map[string]any
	claims    map[string]any
	column    map[string]string // what JWT_USER_COLUMN holds, by value
	want      string
	refused   map[string]map[string]any // claims that differ
}

// providers are the sections of docs/sign-in.md with tokens, by their headings. exp and
// iat are added.
func providers() map[string]provider {
	jwt := map[string]any{"typ": "JWT"}
	return map[string]provider{
		"Auth0": {algorithm: jwa.RS256, header: jwt, want: "42", claims: map[string]any{
			"iss": "https://portal.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "my_client_id", "scope": "openid profile",
			"aud": []string{"https://live.portal.example", "https://portal.eu.auth0.com/userinfo"}, "https://portal.example/user_id": 42,
		}, refused: map[string]map[string]any{
			"a machine":            {"sub": "my_client_id@clients", "gty": "client-credentials"},
			"a machine, by sub":    {"sub": "my_client_id@clients"},
			"another API":          {"aud": "https://other.portal.example"},
			"another tenant":       {"iss": "https://evil.eu.auth0.com/"},
			"without the claim":    {"https://portal.example/user_id": nil},
			"an unusable claim":    {"https://portal.example/user_id": map[string]any{}},
			"the machine's own id": {"azp": "42"},
		}},
		"Clerk": {algorithm: jwa.RS256, header: map[string]any{"typ": "JWT", "cat": "cl_B7d4PD111AAA"}, want: "7",
			column: map[string]string{"user_2xKz": "7"}, claims: map[string]any{
				"azp": "https://portal.example", "fva": []int{0, -1}, "iss": "https://clerk.portal.example", "sid": "sess_2xKz", "sts": "active",
				"sub": "user_2xKz", "v": 2, "o": map[string]any{"id": "org_1", "rol": "admin"},
			}, refused: map[string]map[string]any{
				"another page": {"azp": "https://evil.example"}, "no page": {"azp": nil}, "an unknown user": {"sub": "7"},
			}},
		"Cognito": {algorithm: jwa.RS256, want: "42", claims: map[string]any{
			"sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "iss": "https://cognito-idp.sa-east-1.amazonaws.com/sa-east-1_AbCdEfGhI",
			"aud": "7h1fv4gl0c8q2m5p3k9d6s0a1b", "token_use": "id", "custom:user_id": "42", "cognito:username": "ana", "auth_time": 1,
		}, refused: map[string]map[string]any{
			"an access token":  {"token_use": "access", "client_id": "7h1fv4gl0c8q2m5p3k9d6s0a1b", "aud": nil},
			"another client's": {"aud": "other"},
		}},
		"Entra": {algorithm: jwa.RS256, header: jwt, want: "42", column: map[string]string{"6467882c-fdfd-4354-a1ed-4e13f064be25": "42"},
			claims: map[string]any{
				"aud": "2b2d6c3e-52a7-4e0b-9d57-6b7e7a0f3a11", "iss": "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0",
				"azp": "0c1c1a52-5b7a-4f4a-8a1c-9f1de0a4b001", "azpacr": "0", "oid": "6467882c-fdfd-4354-a1ed-4e13f064be25",
				"scp": "profile access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": "8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "ver": "2.0",
			}, refused: map[string]map[string]any{
				"an application":         {"idtyp": "app"},
				"an application, by oid": {"sub": "6467882c-fdfd-4354-a1ed-4e13f064be25", "scp": nil, "roles": []string{"access_as_user"}},
				"another scope":          {"scp": "profile access_as_user_of_something"},
				"another tenant":         {"iss": "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"},
			}},
		"Firebase": {algorithm: jwa.RS256, header: jwt, want: "42", claims: map[string]any{
			"iss": "https://securetoken.google.com/portal-live", "aud": "portal-live", "auth_time": 1, "user_id": "Xy1", "sub": "Xy1", "portalId": 42,
			"email": "ana@portal.example", "firebase": map[string]any{"sign_in_provider": "password"},
		}, refused: map[string]map[string]any{
			"another project":  {"iss": "https://securetoken.google.com/evil", "aud": "evil"},
			"a session cookie": {"iss": "https://session.firebase.google.com/portal-live"},
		}},
		"Keycloak": {algorithm: jwa.RS256, header: jwt, want: "42", claims: map[string]any{
			"iss": "https://sso.portal.example/realms/portal", "aud": []string{"portal-live", "account"}, "sub": "f3a1b1de-1f67-4c5b-8a5f-51d0d5ad9f6b",
			"typ": "Bearer", "azp": "portal-web", "sid": "s", "acr": "1", "scope": "openid email", "portal_user_id": "42", "preferred_username": "ana",
		}, refused: map[string]map[string]any{
			"a refresh token":   {"typ": "Refresh"},
			"an offline token":  {"typ": "Offline"},
			"an ID token":       {"typ": "ID"},
			"a service account": {"preferred_username": "service-account-portal-batch", "client_id": "portal-batch"},
			"another client's":  {"azp": "other"},
		}},
		"Supabase": {algorithm: jwa.ES256, header: jwt, want: "42", claims: map[string]any{
			"aal": "aal1", "amr": []map[string]any{{"method": "password", "timestamp": 1}}, "aud": "authenticated", "is_anonymous": false,
			"app_metadata": map[string]any{"provider": "email", "portal_id": 42}, "iss": "https://abcdefghijklmnop.supabase.co/auth/v1",
			"role": "authenticated", "session_id": "s", "sub": "0f1c0b1e-6a53-4a39-8b3f-0d5f3a7e1111",
		}, refused: map[string]map[string]any{
			"a guest":             {"is_anonymous": true},
			"the public key":      {"role": "anon", "aud": nil, "sub": nil, "app_metadata": nil},
			"without the id":      {"app_metadata": map[string]any{"provider": "email"}},
			"metadata of another": {"app_metadata": nil, "user_metadata": map[string]any{"portal_id": 42}},
		}},
		"better-auth": {algorithm: jwa.EdDSA, want: "7", column: map[string]string{"Zk3": "7"}, claims: map[string]any{
			"id": "Zk3", "email": "ana@portal.example", "name": "Ana", "sub": "Zk3", "iss": "https://portal.example", "aud": "https://portal.example",
		}, refused: map[string]map[string]any{"another service's": {"aud": "https://other.example"}}},
		"Django Simple JWT": {algorithm: jwa.HS256, header: jwt, want: "42", claims: map[string]any{
			"token_type": "access", "jti": "f6a1", "user_id": "42",
		}, refused: map[string]map[string]any{"a refresh token": {"token_type": "refresh"}, "a sliding token": {"token_type": "sliding"}}},
		"Laravel": {algorithm: jwa.HS256, header: jwt, want: "42", claims: map[string]any{
			"iss": "https://portal.example/api/login", "jti": "f6a1", "sub": "42", "prv": "23bd5c8949f600adb39e701c400872db7a5976f7",
		}, refused: map[string]map[string]any{"nobody's": {"sub": nil, "id": 42}}},
		"Rails": {algorithm: jwa.HS256, want: "42", claims: map[string]any{"jti": "f6a1", "sub": "42", "scp": "user", "aud": nil}, refused: map[string]map[string]any{
			"another scope": {"scp": "admin"},
		}},
	}
}

// memoryColumn is a column of users in memory.
type memoryColumn map[string]string

// UserID implements api.UserColumn.
func (c memoryColumn) UserID(_ context.Context, value string) (string, error) {
	if id, ok := c[value]; ok {
		return id, nil
	}
	return "", db.ErrNotFound
}

var (
	sectionForm = regexp.MustCompile("(?m)^## (.+)\n\n```sh\n((?:[A-Z_]+=.*\n)+)```\n((?:.+\n)+)")
	settingForm = regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`)
)

// signInSettings reads docs/sign-in.md: the settings of each section.
func signInSettings(t *testing.T) map[string][][2]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/sign-in.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string][][2]string)
	for _, section := range sectionForm.FindAllStringSubmatch(string(text), -1) {
		for _, setting := range settingForm.FindAllStringSubmatch(section[2], -1) {
			sections[section[1]] = append(sections[section[1]], [2]string{setting[1], setting[2]})
		}
		if lines := strings.Count(section[2]+section[3], "\n"); lines > 10 {
			t.Errorf("%s has %d lines: some eight are enough", section[1], lines)
		}
	}
	return sections
}

// TestProvidersOfTheDocument signs tokens as providers do, and reads them with the
// settings that docs/sign-in.md shows.
func TestProvidersOfTheDocument(t *testing.T) {
	t.Parallel()
	r, e, d := issuertest.Signers(t)
	foreign := &issuertest.Issuer{T: t}
	foreign.Publish(map[string]crypto.Signer{"r": r, "e": e, "d": d})
	web := httptest.NewServer(foreign)
	t.Cleanup(web.Close)
	keys := map[jwa.SignatureAlgorithm]struct {
		id  string
		key any
	}{jwa.RS256: {"r", r}, jwa.ES256: {"e", e}, jwa.EdDSA: {"d", d}}
	shown, known := signInSettings(t), providers()
	for _, name := range []string{"Auth0", "Clerk", "Cognito", "Entra", "Firebase", "Keycloak", "Supabase", "NextAuth, Auth.js", "better-auth", "Django Simple JWT", "Laravel", "Rails"} {
		if len(shown[name]) == 0 {
			t.Errorf("docs/sign-in.md has no settings for %s", name)
		}
	}
	for name, p := range known {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := read(t, shown[name], web.URL)
			tokens := verifierOf(t, settings, p)
			sign := func(header, differ map[string]any) string {
				claims := map[string]any{"iat": time.Now().Unix(), "nbf": time.Now().Unix() - 10, "exp": time.Now().Add(time.Minute).Unix()}
				maps.Copy(claims, p.claims)
				maps.Copy(claims, differ)
				maps.DeleteFunc(claims, func(name string, value any) bool { _, was := differ[name]; return was && value == nil })
				key := keys[p.algorithm]
				if p.algorithm == jwa.HS256 {
					key.key = []byte(settings.JWTSecret)
				}
				return withHeader(t, p.algorithm, key.key, key.id, header, claims)
			}
			viewer, err := tokens.Verify(t.Context(), sign(p.header, nil))
			if err != nil || viewer.UserID != p.want {
				x := tokens.Explain(t.Context(), sign(p.header, nil))
				t.Errorf("a good token is %q, %v: %s %s", viewer.UserID, err, x.Reason, x.Hint)
			}
			for what, differ := range p.refused {
				if viewer, err := tokens.Verify(t.Context(), sign(p.header, differ)); err == nil {
					t.Errorf("%s is %q", what, viewer.UserID)
				}
			}
			for _, typ := range []string{"logout+jwt", "secevent+jwt", "dpop+jwt", "application/secevent+jwt", "JWE"} {
				if viewer, err := tokens.Verify(t.Context(), sign(map[string]any{"typ": typ}, nil)); err == nil {
					t.Errorf("typ %s is %q", typ, viewer.UserID)
				}
			}
			for _, typ := range []string{"jwt", "at+jwt", "application/at+jwt"} {
				if _, err := tokens.Verify(t.Context(), sign(map[string]any{"typ": typ}, nil)); err != nil {
					t.Errorf("typ %s: %v", typ, err)
				}
			}
		})
	}
}

// read parses settings as the program does. The address of keys leads to those of the test.
func read(t *testing.T, list [][2]string, keys string) *Settings {
	t.Helper()
	args := []string{"version"}
	for _, setting := range list {
		if setting[0] == "JWKS_URL" {
			if !strings.HasPrefix(setting[1], "https://") {
				t.Errorf("%s is shown as %s", setting[0], setting[1])
			}
			setting[1] = keys
		}
		args = append(args, "--"+strings.ToLower(strings.ReplaceAll(setting[0], "_", "-"))+"="+setting[1])
	}
	var cli commandLine
	parser, err := kong.New(&cli, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := cli.tokenSettings.check(); err != nil {
		t.Fatal(err)
	}
	return &cli.Settings
}

// verifierOf returns what verifies tokens under settings.
func verifierOf(t *testing.T, s *Settings, p provider) *api.Tokens {
	t.Helper()
	var secret []byte
	if s.JWTSecret != "" {
		var err error
		if secret, err = s.secret(); err != nil {
			t.Fatal(err)
		}
	}
	tokens, err := s.verifier(secret, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var column api.UserColumn
	if s.JWTUserColumn != userID {
		column = memoryColumn(p.column)
	} else if p.column != nil {
		t.Error("no JWT_USER_COLUMN is shown")
	}
	tokens.Apply(s.rules(api.NewUsers(func(id string) string { return id }, column, s.columnIsForeign(secret))))
	return tokens
}

// withHeader signs claims under a header with other members.
func withHeader(t *testing.T, algorithm jwa.SignatureAlgorithm, key any, id string, members, claims map[string]any) string {
	t.Helper()
	header := jws.NewHeaders()
	members = maps.Clone(members)
	if members == nil {
		members = make(map[string]any)
	}
	if id != "" {
		members["kid"] = id
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if err := header.Set(name, members[name]); err != nil {
			t.Fatal(err)
		}
	}
	var payload bytes.Buffer
	if err := json.NewEncoder(&payload).Encode(claims); err != nil {
		t.Fatal(err)
	}
	token, err := jws.Sign(bytes.TrimSpace(payload.Bytes()), jws.WithKey(algorithm, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}
