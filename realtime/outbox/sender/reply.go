package sender

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// blame is who a refusal of the mail server is about.
type blame int

const (
	// theirs: this user's address, or this mail.
	theirs blame = iota
	// either: this mail, or all of ours. Another user's tells.
	either
	// ours: the operator's password, MAIL_FROM, DNS records or network. Every mail is refused so.
	ours
)

// subjects are who an enhanced status code is about, by its subject (RFC 3463, section 3). What the
// mail server says of itself, of its protocol and of policy may be said to one or to all.
var subjects = map[string]blame{"0": either, "1": theirs, "2": theirs, "3": either, "4": theirs, "5": either, "6": theirs, "7": either}

// details are the codes that say something else than their subject does: those of RFC 3463, and of
// the registry of enhanced status codes that it founded.
var details = map[string]blame{
	"1.0": either, // Postfix says so of the sender's address as well, and after RCPT
	"1.7": ours,   // the sender's address
	"1.8": ours,
	"2.0": either, "2.252": either, // Exchange Online: may not send as MAIL_FROM
	"3.4":  theirs, // the mail is too large
	"4.5":  either, // Gmail: as many mails as a user may send in a day
	"7.8":  ours,   // user and password
	"7.9":  ours,
	"7.11": ours, "7.13": ours, "7.14": ours,
	"7.17": theirs, "7.18": theirs, // the address has another owner by now (RFC 7293)
	// DKIM, SPF and reverse DNS (RFC 7372), a sender who takes no mail (RFC 7505)
	"7.20": ours, "7.21": ours, "7.22": ours, "7.23": ours, "7.24": ours, "7.25": ours, "7.26": ours, "7.27": ours,
}

// enhanced finds the status code of a refusal: at its beginning (RFC 2034), or as qmail writes it.
var enhanced = regexp.MustCompile(`^5\.(\d{1,3})\.(\d{1,3})\b|\(#5\.(\d{1,3})\.(\d{1,3})\)`)

// blames says who a refusal is about. Whether the mail server announces ENHANCEDSTATUSCODES does
// not matter: many that do not write them nevertheless.
func blames(last step, said *textproto.Error, utf8 bool) blame {
	switch said.Code {
	case 530, 534, 535, 538: // we are not let in (RFC 4954)
		return ours
	}
	if last == stepMail {
		// Nobody has said yet who the mail is for. Their address has us ask for SMTPUTF8, though.
		if utf8 {
			return either
		}
		return ours
	}
	if found := enhanced.FindStringSubmatch(said.Msg); found != nil {
		subject, detail := found[1]+found[3], found[2]+found[4]
		if who, known := details[subject+"."+detail]; known {
			return who
		}
		return subjects[subject]
	}
	switch said.Code {
	case 550, 551, 552, 553, 556: // of a mailbox (RFC 5321, section 4.2.2; RFC 7504)
		// Exim's words for all that it does not relay.
		if words := strings.ToLower(said.Msg); strings.Contains(words, "relay") || strings.Contains(words, "authenticat") {
			return either
		}
		return theirs
	case 501: // how an address is written
		return theirs
	}
	return either
}

// busyPause is how long nothing is sent to a mail server that says it takes nothing at present.
const busyPause = 30 * time.Second

// dialResult says what it means that the mail server could not be talked to.
func dialResult(err error) outbox.Result {
	var said *textproto.Error
	if errors.As(err, &said) {
		r := outbox.Result{Status: outbox.Again, Code: said.Code, Err: fmt.Errorf("the mail server answers %d before any mail", said.Code)}
		if said.Code >= 500 {
			r.Status = outbox.Ours
		} else {
			r.RetryAfter = busyPause // too many connections, or too many that signed in
		}
		return r
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) || errors.Is(err, errNoSTARTTLS) || errors.Is(err, errNoAuth) {
		return outbox.Result{Status: outbox.Ours, Err: err}
	}
	return outbox.Result{Status: outbox.Again, Err: err}
}

// letterResult says what it means that the mail server did not take a mail. What it says in words
// may name the address, so only its number is told.
func letterResult(last step, err error, utf8 bool) outbox.Result {
	var said *textproto.Error
	switch {
	case errors.Is(err, errNoUTF8):
		return outbox.Result{Status: outbox.Refused, Err: err}
	case errors.As(err, &said):
	case last == stepDot:
		return outbox.Result{Status: outbox.Again, Err: errors.New("the connection to the mail server broke: it may have taken the mail")}
	default:
		return outbox.Result{Status: outbox.Again, Err: errors.New("the connection to the mail server broke")}
	}
	r := outbox.Result{Status: outbox.Again, Code: said.Code, Err: fmt.Errorf("the mail server answers %d to %s", said.Code, last)}
	if said.Code < 500 {
		if said.Code == 421 || said.Code == 432 {
			r.RetryAfter = busyPause // said of the connection, not of this mail
		}
		return r
	}
	switch blames(last, said, utf8) {
	case ours:
		r.Status = outbox.Ours
	case either:
		r.Status, r.Doubtful = outbox.Ours, true
	default:
		r.Status = outbox.Refused
	}
	return r
}
