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

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db"
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
