package db_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// sqlstateClasses are all classes of the PostgreSQL manual's appendix A, and one that
// does not exist yet.
var sqlstateClasses = strings.Fields(`00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F
	40 42 44 53 54 55 57 58 72 F0 HV P0 XX ZZ`)

func TestOnlyWhatIsKnownToBeAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, class := range sqlstateClasses {
		want := slices.Contains([]string{"08", "3D", "53", "57", "58"}, class)
		err := fmt.Errorf("read: %w", &pq.Error{Code: pqerror.Code(class + "000"), Message: "x"})
		if db.Unavailable(err) != want {
			t.Errorf("class %s: unavailable is %t", class, !want)
		}
	}
	away := []error{
		db.ErrUnavailable, db.ErrBusy, context.DeadlineExceeded, os.ErrDeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true},
		&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
	}
	for _, err := range away {
		if !db.Unavailable(fmt.Errorf("read: %w", err)) {
			t.Errorf("%v is not unavailable", err)
		}
	}
	_, missing := os.ReadFile(t.TempDir() + "/root.crt")
	syntax := json.Unmarshal([]byte("{"), &struct{}{})
	here := []error{
		nil, errors.New("a programming error"), context.Canceled, fmt.Errorf("%w (%w)", context.Canceled, &pq.Error{Code: "57014"}),
		sql.ErrNoRows, sql.ErrTxDone, syntax, missing, bcrypt.ErrMismatchedHashAndPassword, bcrypt.ErrPasswordTooLong,
		db.ErrNotFound, eventlog.ErrHistoryGone, db.ErrInvalidID, db.ErrInvalidText, db.ErrNotPermitted, eventlog.ErrNotLeader,
		db.ErrSessionEnded, db.ErrConflict, pq.ErrSSLNotSupported,
	}
	for _, err := range here {
		if db.Unavailable(err) {
			t.Errorf("%v is unavailable", err)
		}
	}
}

// TestTookTooLong has a time limit pass while the database works, and while there is nothing that
// it could work at.
func TestTookTooLong(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	network := newBlackholeProxy(t, portal.URL)
	var dialer db.Dialer
	t.Cleanup(dialer.Close)
	pool, err := db.OpenThrough(t.Context(), network.url, &dialer)
	must(t, err)
	t.Cleanup(func() { pool.Close() })
	limited := func(query string, args ...any) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		defer context.AfterFunc(ctx, func() { // what waits for no answer is cut, as by a Listener
			network.mu.Lock()
			defer network.mu.Unlock()
			if network.swallows {
				dialer.Cut(time.Now())
			}
		})()
		var one int
		return pool.GetContext(ctx, &one, query, args...)
	}
	expect := func(what string, err error, want bool) {
		t.Helper()
		if !db.Unavailable(err) || db.TookTooLong(err) != want {
			t.Errorf("%s took too long: %t, want %t (%v)", what, !want, want, err)
		}
	}
	const slow = `SELECT 1 FROM pg_sleep($1)`
	expect("a question", limited(slow, 60), true)
	limit, err := pool.Connx(t.Context())
	must(t, err)
	_, err = limit.ExecContext(t.Context(), `SET statement_timeout = 10`)
	must(t, err)
	_, err = limit.ExecContext(t.Context(), slow, 60)
	expect("a question that PostgreSQL ends", err, true)
	must(t, limit.Close())

	pool.SetMaxOpenConns(1)
	held, err := pool.Connx(t.Context())
	must(t, err)
	expect("waiting for a connection", limited(slow, 0), false)
	must(t, held.Close())
	network.swallow()
	expect("a network that swallows it", limited(slow, 0), false)
	expect("connecting", limited(slow, 0), false)
}
