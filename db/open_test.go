package db_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestOpenExplains(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t).URL()
	_, rest, _ := strings.Cut(server, "@/")
	_, parameters, _ := strings.Cut(rest, "?")
	for name, test := range map[string]struct {
		url   string
		parts []string
	}{
		"nothing":          {"", []string{"DATABASE_URL", "postgres://"}},
		"another scheme":   {"mysql://ana:geheim@db/portal", []string{"DATABASE_URL", "postgres://"}},
		"not a URL":        {"postgres://ana:gehe\x7fim@db/portal", []string{"DATABASE_URL", "postgres://"}},
		"a bad escape":     {"postgres://ana:geheim%zz@db/portal", []string{"DATABASE_URL", "postgres://"}},
		"a bad port":       {"postgres://ana:geheim@db:geheim/portal", []string{"DATABASE_URL", "postgres://"}},
		"a bad parameter":  {"postgres://ana:geheim@127.0.0.1:1/portal?sslmode=perhaps", []string{"sslmode", "perhaps"}},
		"nobody there":     {"postgres://ana:geheim@127.0.0.1:1/portal", []string{"cannot be reached", "DATABASE_URL", "127.0.0.1:1"}},
		"password in ?":    {"postgres://127.0.0.1:1/portal?user=ana&password=geheim", []string{"cannot be reached", "DATABASE_URL"}},
		"no such database": {"postgres://hangarshare:geheim@/atlantis?" + parameters, []string{`"atlantis" does not exist`, "create it"}},
		"no such user":     {"postgres://nobody:geheim@/postgres?" + parameters, []string{"refused the user or password", "DATABASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, do := range map[string]func() error{
				"Open":      func() error { _, err := db.Open(t.Context(), test.url); return err },
				"Migrate":   func() error { return db.Migrate(t.Context(), test.url, quiet) },
				"Unmigrate": func() error { return db.Unmigrate(t.Context(), test.url, quiet) },
			} {
				t.Run(what, func(t *testing.T) { explains(t, do(), test.parts...) })
			}
		})
	}
}

func TestOpenWrongPassword(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Empty(t)
	wrong := role(t, databaseURL, "with_password", "PASSWORD 'right'")
	p := dbtest.Open(t, databaseURL)
	path := p.ID(t, `SHOW hba_file`)
	rules, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append([]byte("local all with_password md5\n"), rules...), 0o600))
	p.Exec(t, `SELECT pg_reload_conf()`)
	eventually(t, "the server asks for passwords", func() bool {
		pool, err := sqlx.Connect("postgres", wrong)
		if err == nil {
			pool.Close()
		}
		var refused *pq.Error
		return errors.As(err, &refused) && refused.Code == "28P01"
	})
	_, err = db.Open(t.Context(), wrong)
	explains(t, err, "refused the user or password", "DATABASE_URL")
	pool, err := db.Open(t.Context(), strings.Replace(wrong, "geheim", "right", 1))
	must(t, err)
	pool.Close()
}

func TestOpenOldServer(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	must(t, db.CheckVersion(t.Context(), p.Pool, db.MinimumVersion))
	explains(t, db.CheckVersion(t.Context(), p.Pool, 999), "too old", "version 999 or newer")
}
