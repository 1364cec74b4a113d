package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

const (
	// mailTime bounds a whole conversation with the mail server: it ends before the lease of a
	// delivery does. RFC 5321, section 4.5.3.2, would wait for minutes at each step.
	mailTime = 20 * time.Second
	// mailAtOnce is how many connections to the mail server a server of ours has at a time.
	// Exchange Online takes three of a mailbox.
	mailAtOnce = 3
	// quitTime is how long the answer to QUIT is waited for. The mail is taken or refused by then.
	quitTime = time.Second
	// stopGrace is how long a mail that is whole on its way waits for its answer while the server
	// stops. The services of a server have two seconds.
	stopGrace = time.Second
	// maxReplies is how many bytes a mail server may say in a conversation, its certificates
	// included.
	maxReplies = 256 << 10
)

// What a mail server does not offer.
var (
	errNoSTARTTLS = errors.New("the mail server offers no STARTTLS")
	errNoAuth     = errors.New("the mail server offers no way to sign in that is known here")
	errNoUTF8     = errors.New("the mail server takes no addresses beyond ASCII")
	errTalkative  = errors.New("the mail server does not stop talking")
)

// authError says that signing in failed.
type authError struct{ error }

func (e authError) Unwrap() error { return e.error }

// conversation is a session with the mail server, with one deadline for all of it.
type conversation struct {
	conn     net.Conn
	client   *smtp.Client // nil before the mail server's greeting
	deadline time.Time
	// release lets the connection outlive the context that it was made for, and reports whether
	// that still goes on.
	release func() bool
}

// converse connects to the mail server, begins TLS and signs in. Whatever the mail server does,
// the conversation ends with mailTime or ctx, and who got one closes it.
func (m *Mail) converse(ctx context.Context) (*conversation, error) {
	deadline := time.Now().Add(mailTime)
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := m.dial(dialing, "tcp", m.server())
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(deadline)
	c := &conversation{conn: &boundedConn{conn, maxReplies}, deadline: deadline}
	c.release = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	if err := m.open(c); err != nil {
		c.close(err)
		return nil, err
	}
	return c, nil
}

// open greets the mail server, encrypted from the start or from STARTTLS on, and signs in.
func (m *Mail) open(c *conversation) error {
	conn := c.conn
	if m.implicit {
		encrypted := tls.Client(conn, m.trust)
		if err := encrypted.Handshake(); err != nil {
			return err
		}
		conn = encrypted
	}
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return err
	}
	c.client = client
	if err := client.Hello(m.domain); err != nil {
		return err
	}
	if m.startTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return errNoSTARTTLS
		}
		if err := client.StartTLS(m.trust); err != nil {
			return err
		}
	}
	if !m.signsIn {
		return nil
	}
	auth, err := m.mechanism(client)
	if err != nil {
		return err
	}
	if err := client.Auth(auth); err != nil {
		return authError{err}
	}
	return nil
}

// mechanism returns the best way to sign in that the mail server offers. There is TLS: NewMail
// takes no password without it.
func (m *Mail) mechanism(client *smtp.Client) (smtp.Auth, error) {
	state, err := client.GetTLSConnectionState()
	if err != nil {
		return nil, err
	}
	_, offered := client.Extension("AUTH")
	has := make(map[string]bool)
	for name := range strings.FieldsSeq(strings.ToUpper(offered)) {
		has[name] = true
	}
	switch {
	case has["SCRAM-SHA-256-PLUS"]:
		return smtp.ScramSHA256PlusAuth(m.user, m.password, state), nil
	case has["SCRAM-SHA-256"]:
		return smtp.ScramSHA256Auth(m.user, m.password), nil
	case has["SCRAM-SHA-1-PLUS"]:
		return smtp.ScramSHA1PlusAuth(m.user, m.password, state), nil
	case has["SCRAM-SHA-1"]:
		return smtp.ScramSHA1Auth(m.user, m.password), nil
	case has["NTLM"]:
		return smtp.NTLMAuth(m.user, m.password, ""), nil
	case has["CRAM-MD5"]:
		return smtp.CRAMMD5Auth(m.user, m.password), nil
	case has["PLAIN"]:
		return smtp.PlainAuth("", m.user, m.password, m.host, false), nil
	case has["LOGIN"]:
		return smtp.LoginAuth(m.user, m.password, m.host, false), nil
	}
	return nil, errNoAuth
}

// step is where a conversation ended.
type step string

const (
	stepMail step = "MAIL"
	stepRcpt step = "RCPT"
	stepData step = "DATA"
	stepDot  step = "the dot" // that ends the text: from here on the mail server may have it
)

// hand gives a mail to the mail server. It is taken when err is nil: nothing is asked afterwards
// that could fail. Otherwise last is the step that was not answered well.
func (c *conversation) hand(ctx context.Context, e envelope) (last step, err error) {
	if offered, _ := c.client.Extension("SMTPUTF8"); e.utf8 && !offered {
		return stepRcpt, errNoUTF8
	}
	// A mail that came by SMTPUTF8 goes on only to servers which have it (RFC 6531, section 3.2).
	c.client.SkipSMTPUTF8(!e.utf8)
	if err := c.client.Mail(e.from); err != nil {
		return stepMail, err
	}
	if err := c.client.Rcpt(e.to); err != nil {
		return stepRcpt, err
	}
	text, err := c.client.Data()
	if err != nil {
		return stepData, err
	}
	if _, err := text.Write(e.text); err != nil {
		return stepData, err
	}
	// The dot comes next. A mail whose answer is cut off is sent twice, so a stop of ours waits for
	// it.
	if !c.release() {
		return stepData, context.Cause(ctx)
	}
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(c.until(stopGrace)) })()
	err = text.Close()
	var said *textproto.Error
	if errors.As(err, &said) && said.Code/100 == 2 {
		err = nil // the first digit decides (RFC 5321, section 4.2.1)
	}
	return stepDot, err
}

// until returns the end of a time that begins now, or that of the conversation.
func (c *conversation) until(pause time.Duration) time.Time {
	if end := time.Now().Add(pause); end.Before(c.deadline) {
		return end
	}
	return c.deadline
}

// close ends the conversation: by QUIT where the mail server still answers. What it says to that
// changes nothing.
func (c *conversation) close(err error) {
	c.release()
	if c.client != nil && (err == nil || errors.As(err, new(*textproto.Error)) || errors.Is(err, errNoUTF8)) {
		c.conn.SetDeadline(c.until(quitTime))
		c.client.Quit() //nolint:errcheck // see above
	}
	c.conn.Close()
}

// boundedConn is a connection on which only so many bytes may come.
type boundedConn struct {
	net.Conn
	left int
}

func (b *boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTalkative
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
