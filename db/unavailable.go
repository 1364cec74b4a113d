package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// awayClasses are the SQLSTATE classes that say that the database cannot serve anybody at present
// (PostgreSQL manual, appendix A): connection, no such database, resources, operator intervention
// (also our own time limit on a statement), system error.
var awayClasses = map[pqerror.Class]bool{"08": true, "3D": true, "53": true, "57": true, "58": true}

// awayErrors say the same on our side of the connection: the breaker, the network, our
// own time limits.
var awayErrors = []error{
	ErrUnavailable, ErrBusy, ErrStandby,
	context.DeadlineExceeded, os.ErrDeadlineExceeded,
	driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
}

// Unavailable reports whether err is known to say that the database cannot be reached, is going
// away, has no room, or did not answer in time, so that trying again later makes sense. Any other
// error is something else, also one that nobody has thought of: what a client can cause by what it
// sends must never pass for an outage.
func Unavailable(err error) bool {
	var wrong misconfigured
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &wrong) {
		return false
	}
	var pqErr *pq.Error
	if errors.As(err, &pqErr) {
		return awayClasses[pqErr.Code.Class()] || isLocked(err)
	}
	for _, away := range awayErrors {
		if errors.Is(err, away) {
			return true
		}
	}
	var operation *net.OpError
	var name *net.DNSError
	var network net.Error
	return errors.As(err, &operation) || errors.As(err, &name) || errors.As(err, &network) && network.Timeout()
}

// TookTooLong reports whether err is the database's own word that a time limit, ours included, or
// an operator ended a question: it is there, and may need as long for it the next time. A limit
// that passed without a word of it, as while dialling, says nothing of the question.
func TookTooLong(err error) bool {
	var pqErr *pq.Error
	return errors.As(err, &pqErr) && pqErr.Code == "57014"
}

// checkText returns ErrInvalidText when one of a query's parameters is a text that no
// PostgreSQL database holds.
func checkText(args []any) error {
	for _, arg := range args {
		if text, ok := arg.(string); ok && (strings.ContainsRune(text, 0) || !utf8.ValidString(text)) {
			return ErrInvalidText
		}
	}
	return nil
}

// refusedText makes ErrInvalidText of a refusal for characters that the database's
// encoding lacks (SQLSTATE character_not_in_repertoire and untranslatable_character): it
// depends on the database which those are.
func refusedText(err error) error {
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && (pqErr.Code == "22021" || pqErr.Code == "22P05") {
		return fmt.Errorf("%w: %w", ErrInvalidText, err)
	}
	return err
}
