package devdb

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestProgramsGetNoSecrets starts a server while our environment holds a secret and the settings of
// another database: it comes up, and none of its processes has them.
func TestProgramsGetNoSecrets(t *testing.T) {
	for name, value := range map[string]string{
		"JWT_SECRET": "geheim", "SMTP_URL": "smtp://u:geheim@mail.example", "PGHOST": "198.51.100.1", "PGPORT": "1", "PGUSER": "nobody",
		"PGDATABASE": "elsewhere", "PGPASSWORD": "geheim", "PGSSLMODE": "verify-full", "PGSERVICE": "elsewhere", "PGOPTIONS": "--nonsense", "PGDATA": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	s := mustStart(t, options(passable(t)))
	for what, pid := range map[string]int{"postgres": s.postgres.cmd.Process.Pid, "the watchdog": s.watchdog.cmd.Process.Pid} {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, unwanted := range []string{"geheim", "\x00PG", "elsewhere"} {
			if bytes.Contains(append([]byte{0}, environ...), []byte(unwanted)) {
				t.Errorf("%s has %q in its environment: %q", what, unwanted, environ)
			}
		}
		if !bytes.Contains(environ, []byte("PATH=")) {
			t.Errorf("%s has no PATH: %q", what, environ)
		}
	}
}
