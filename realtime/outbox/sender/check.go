package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// What an operator may do about a host that cannot be reached.
const (
	cureReach = "look at host and port in %s, and whether a firewall lets this machine connect there"
	cureTrust = "write the name that is in the certificate in %s, and have this machine trust its authority (SSL_CERT_FILE)"
)

// explain says why the mail server could not be signed in to, and what to do about it.
func (m *Mail) explain(err error) db.Finding {
	found := db.Finding{Area: "mail", Level: db.Obstacle}
	var said *textproto.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &said) && said.Code < 500:
		found.Level = db.Warning
		found.Text = fmt.Sprintf("the mail server %s answers %d, %.200q: mails wait until it does not", m.server(), said.Code, said.Msg)
		found.Cure = "try again later; if it stays so, ask who runs the mail server"
	case errors.As(err, &said) && errors.As(err, new(authError)):
		found.Text = fmt.Sprintf("the mail server %s refuses the user or the password: %d, %.200q", m.server(), said.Code, said.Msg)
		found.Cure = "put the right ones into SMTP_URL, with / ? # % written as %2F %3F %23 %25; some services want a password that is made for programs"
	case errors.As(err, &said):
		found.Text = fmt.Sprintf("the mail server %s answers %d before any mail: %.200q", m.server(), said.Code, said.Msg)
		found.Cure = "have who runs it let this machine's address in"
	case errors.Is(err, errNoAuth):
		found.Text = "the mail server " + m.server() + " offers no way to sign in that is known here"
		found.Cure = "leave user and password out of SMTP_URL if it needs none; else look whether the port is the one for sending (587 or 465)"
	case errors.As(err, &certificate):
		found.Text = fmt.Sprintf("the certificate of the mail server %s does not count: %v", m.server(), certificate.Err)
		found.Cure = fmt.Sprintf(cureTrust, "SMTP_URL")
	case errors.As(err, &record):
		found.Text = "the mail server " + m.server() + " does not begin with TLS"
		found.Cure = "write smtp:// in SMTP_URL, which asks for STARTTLS, or the port for TLS from the start, 465"
	case errors.Is(err, errNoSTARTTLS):
		found.Text = "the mail server " + m.server() + " offers no STARTTLS, so nothing is sent"
		found.Cure = "have it offer STARTTLS, write smtps:// for a port with TLS from the start, or add ?starttls=no to SMTP_URL for a relay on a network that nobody else hears"
	case isSilent(err) && !isUnreached(err) && !m.implicit:
		found.Text = "the mail server " + m.server() + " is connected to and says nothing that is SMTP"
		found.Cure = "write smtps:// in SMTP_URL if the port expects TLS from the start, as 465 does"
	default:
		return unreached("mail", "the mail server "+m.server(), "SMTP_URL", err)
	}
	return found
}

// explainFrom says why the mail server does not take mails from MAIL_FROM.
func (m *Mail) explainFrom(err error) db.Finding {
	var said *textproto.Error
	if !errors.As(err, &said) {
		return unreached("mail", "the mail server "+m.server(), "SMTP_URL", err)
	}
	found := db.Finding{Area: "mail", Level: db.Obstacle,
		Text: fmt.Sprintf("the mail server %s takes no mails from %s: %d, %.200q", m.server(), m.from.Address, said.Code, said.Msg)}
	switch {
	case said.Code < 500:
		found.Level, found.Cure = db.Warning, "try again later; if it stays so, ask who runs the mail server"
	case !m.signsIn:
		found.Cure = "if it wants somebody to sign in, put user and password into SMTP_URL; else let MAIL_FROM be an address that it sends for"
	default:
		found.Cure = "set MAIL_FROM to an address that the user in SMTP_URL may send from"
	}
	return found
}

// isUnreached reports whether no connection was made.
func isUnreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// isSilent reports whether a connection told nothing, or what is not of its protocol.
func isSilent(err error) bool {
	var timeout net.Error
	var garbled textproto.ProtocolError
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &garbled)
}

// unreached says that a host which a setting names cannot be talked to.
func unreached(area, what, setting string, err error) db.Finding {
	found := db.Finding{Area: area, Level: db.Obstacle, Text: fmt.Sprintf("%s cannot be reached: %v", what, err), Cure: fmt.Sprintf(cureReach, setting)}
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		found.Text, found.Cure = what+" cannot be reached: there is no host "+name.Name, "look at the host in "+setting
	}
	return found
}

// Check connects to the portal, with TLS where its address says so. It posts nothing.
func (w *Webhook) Check(ctx context.Context) db.Finding {
	const setting = "NOTIFY_WEBHOOK_URL"
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	u, err := url.Parse(w.address)
	if err != nil {
		return db.Finding{Area: "webhook", Level: db.Obstacle, Text: setting + " is no address", Cure: "write it like https://portal.example/hooks/mail"}
	}
	secure, port := u.Scheme == "https", "80"
	if secure {
		port = "443"
	}
	if u.Port() != "" {
		port = u.Port()
	}
	server := net.JoinHostPort(u.Hostname(), port)
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return unreached("webhook", server, setting, err)
	}
	defer connection.Close()
	if !secure {
		if address, err := netip.ParseAddrPort(connection.RemoteAddr().String()); err == nil && address.Addr().Unmap().IsLoopback() {
			return db.Finding{Area: "webhook", Level: db.Fine, Text: server + " is there; nothing was posted"}
		}
		return db.Finding{Area: "webhook", Level: db.Warning, Text: server + " is there; names and addresses of users go to it without encryption",
			Cure: "write https:// in " + setting}
	}
	client := tls.Client(connection, w.trust(u.Hostname()))
	if err := client.HandshakeContext(ctx); err != nil {
		found := db.Finding{Area: "webhook", Level: db.Obstacle, Text: fmt.Sprintf("%s is there, and TLS fails: %v", server, err), Cure: fmt.Sprintf(cureTrust, setting)}
		if errors.As(err, new(tls.RecordHeaderError)) {
			found.Cure = "that port has no TLS: look at scheme and port in " + setting
		}
		return found
	}
	return db.Finding{Area: "webhook", Level: db.Fine, Text: server + " is there; nothing was posted"}
}

// trust is how the portal's certificate is looked at: as when mail is posted.
func (w *Webhook) trust(name string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if transport, ok := w.client.Transport.(*http.Transport); ok && transport.TLSClientConfig != nil {
		config = transport.TLSClientConfig.Clone()
	}
	config.ServerName = name
	return config
}
