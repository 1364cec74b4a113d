package sender

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/textproto"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// dialResult says what it means that the mail server could not be talked to.
func dialResult(err error) outbox.Result {
	var said *textproto.Error
	if errors.As(err, &said) {
		r := outbox.Result{Status: outbox.Again, Code: said.Code, Err: fmt.Errorf("the mail server answers %d before any mail", said.Code)}
		if said.Code >= 500 {
			r.Status = outbox.Ours
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
func letterResult(last step, err error) outbox.Result {
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
	switch {
	case said.Code == 530 || said.Code == 535 || said.Code == 550 && last == stepMail:
		r.Status = outbox.Ours // we are not let in, or may not send as MAIL_FROM
	case said.Code >= 500:
		r.Status = outbox.Refused
	}
	return r
}
