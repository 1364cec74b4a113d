package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironmentFile gives the token command its key and a user's claim in a file: flags and the
// environment come before it, and what is no setting is named.
func TestEnvironmentFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	run := func(text string, args ...string) (int, string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		code := Run(t.Context(), nil, append([]string{"token", "--user", "1"}, args...), &out, &out)
		return code, out.String()
	}
	t.Setenv("ENV_FILE", file)
	t.Setenv("DATABASE_URL", "")
	os.Unsetenv("DATABASE_URL") // as it was, after the test
	const short, long = "DATABASE_URL=postgres://x\nJWT_SECRET=short\n",
		"# a comment\n; another\n\nexport DATABASE_URL=postgres://x\nMAX_CONNECTIONS=7\nPGUSER=a\n" +
			" JWT_SECRET = \"a secret with = and # of 32 bytes or more\" \n"
	if code, out := run(long); code != 0 {
		t.Errorf("a good file: %d %s", code, out)
	}
	if code, out := run(short); code != 1 || !strings.Contains(out, "JWT_SECRET") || strings.Contains(out, "short\n") {
		t.Errorf("a short secret: %d %s", code, out)
	}
	if code, out := run(short, "--jwt-secret", strings.Repeat("f", 32)); code != 0 {
		t.Errorf("a flag does not come first: %d %s", code, out)
	}
	if code, out := run(short + "JWT_SECRETS=x\n"); code != 2 || !strings.Contains(out, "hangarshare: ENV_FILE") || !strings.Contains(out, "there is no setting JWT_SECRETS") {
		t.Errorf("a wrong name: %d %s", code, out)
	}
	if code, out := run("JWT_SECRET\n"); code != 2 || !strings.Contains(out, "line 1 is not NAME=value") {
		t.Errorf("no assignment: %d %s", code, out)
	}
	t.Setenv("JWT_SECRET", strings.Repeat("e", 32))
	if code, out := run(short); code != 0 {
		t.Errorf("the environment does not come first: %d %s", code, out)
	}
	if code, out := run("", "--env-file", file+"-gone"); code != 2 || !strings.Contains(out, "ENV_FILE") {
		t.Errorf("no file: %d %s", code, out)
	}
}
