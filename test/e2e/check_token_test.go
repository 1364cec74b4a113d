package e2e

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// checkToken runs check --token on a token and returns what it prints.
func checkToken(t *testing.T, token string, args ...string) (code int, printed string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("  Bearer "+token+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code = harness.Run(t.Context(), append([]string{"check", "--token", file, "--data-dir", dbtest.Dir(t)}, args...), &out, &out)
	return code, out.String()
}

// TestCheckToken explains tokens to the operator who holds them.
func TestCheckToken(t *testing.T) {
	t.Parallel()
	r, e, _ := issuertest.Signers(t)
	foreign := &issuertest.Issuer{T: t}
	foreign.Publish(map[string]crypto.Signer{"e": e})
	web := httptest.NewServer(foreign)
	t.Cleanup(web.Close)
	s := harness.NewSetup(t)
	s.Portal.Exec(t, `ALTER TABLE users ADD COLUMN external_id text`)
	s.Portal.Exec(t, `UPDATE users SET external_id = 'auth0|7' WHERE id::text = $1`, s.Owner.UserID)
	soon := time.Now().Add(time.Hour).Unix()
	claims := map[string]any{"sub": "auth0|7", "exp": soon, "iss": "https://issuer.example/", "aud": []string{"portal"}}
	good := issuertest.Sign(t, jwa.ES256, e, "e", claims)
	byColumn := []string{"--jwt-secret", "", "--jwks-url", web.URL, "--database-url", s.DatabaseURL, "--jwt-user-column", "external_id"}
	encoded := base64.StdEncoding.EncodeToString([]byte(harness.Secret))
	for name, test := range map[string]struct {
		token string
		args  []string
		code  int
		says  []string
	}{
		"one that counts, without an index": {good, byColumn, 1, []string{
			`kid "e"`, `sub is "auth0|7"`, `iss is "https://issuer.example/"`, "has no unique index", "signed with a key of JWKS_URL",
			"the user " + s.Owner.UserID, "may see the owner account " + s.Owner.ID, "JWT_AUDIENCE is not set"}},
		"another issuer": {good, append(byColumn, "--jwt-issuer", "https://issuer.example"), 1, []string{"refused (issuer)", "a slash at the end"}},
		"an unknown key": {issuertest.Sign(t, jwa.RS256, r, "x", claims), byColumn, 1, []string{"refused (unknown_key)"}},
		"an unknown user": {issuertest.Sign(t, jwa.ES256, e, "e", map[string]any{"sub": "auth0|8", "exp": soon}), byColumn, 1,
			[]string{"refused (unknown_user)"}},
		"without a database": {good, []string{"--jwt-secret", harness.Secret, "--jwks-url", web.URL}, 0,
			[]string{`the claim sub: "auth0|7"`, "was not asked"}},
		"of a secret in base64": {issuertest.Sign(t, jwa.HS256, []byte(harness.Secret), "", map[string]any{"sub": "7", "exp": soon}),
			[]string{"--jwt-secret", encoded}, 1, []string{"refused (signature)", "JWT_SECRET_IS_BASE64=true"}},
		"opaque":                   {"gho_16C7e42F292c6912E7710c838347Ae178B4a", []string{"--jwt-secret", harness.Secret}, 1, []string{"refused (malformed)"}},
		"a column that is missing": {good, append(byColumn, "--jwt-user-column", "nowhere"), 1, []string{"JWT_USER_COLUMN", "it has id", "external_id"}},
		"no key set":               {good, []string{"--jwt-secret", harness.Secret, "--jwks-url", s.Base}, 1, []string{"no key set: it is a page in HTML"}},
	} {
		code, printed := checkToken(t, test.token, test.args...)
		for _, want := range test.says {
			if !strings.Contains(printed, want) {
				t.Errorf("%s: it does not say %q", name, want)
			}
		}
		signature := test.token[strings.LastIndexByte(test.token, '.')+1:]
		if code != test.code || strings.Contains(printed, signature) {
			t.Errorf("%s: exit code %d\n%s", name, code, printed)
		}
	}
	s.Portal.Exec(t, `CREATE UNIQUE INDEX ON users (external_id) WHERE external_id IS NOT NULL`)
	if code, printed := checkToken(t, good, byColumn...); code != 0 || !strings.Contains(printed, "which has a unique index") {
		t.Errorf("with an index: %d %s", code, printed)
	}
}

// TestCheckReadsTheTokenFromItsInput gives the real program a token on standard input,
// and one where all can read it.
func TestCheckReadsTheTokenFromItsInput(t *testing.T) {
	t.Parallel()
	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	token := harness.TokenFor(t, "7", time.Hour)
	command := exec.Command(binary, "check", "--token", "-", "--jwt-secret", harness.Secret, "--data-dir", dbtest.Dir(t))
	command.Stdin = strings.NewReader(token)
	if text, err := command.CombinedOutput(); err != nil || !strings.Contains(string(text), "by this server itself") {
		t.Errorf("%v %s", err, text)
	}
	if text, err := exec.Command(binary, "check", "--token", token, "--jwt-secret", harness.Secret).CombinedOutput(); err == nil || strings.Contains(string(text), token) {
		t.Errorf("a token on the command line: %v %s", err, text)
	}
}
