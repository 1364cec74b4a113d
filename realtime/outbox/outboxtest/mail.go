package outboxtest

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Letter is a mail that came to a server.
type Letter struct {
	From, To string
	Text     string // as it was sent, with its header
}

// MailServer is a mail server with STARTTLS, which knows one user and password. Who a mail is for
// says how it answers: later@ by 451, never@ by 550, denied@ by 554 of its policy, drop@ by ending
// the connection after the mail came whole, the first time. So does who it is from: later@ and
// never@ may not send.
type MailServer struct {
	Address string
	Trust   *tls.Config
	// Authority is the certificate in PEM that has to be trusted.
	Authority []byte
	// Plain says that it has no STARTTLS.
	Plain bool

	// Hold has each mail that has come whole wait for a value before it is taken; nil does not.
	Hold chan struct{}

	mu      sync.Mutex // guards what follows
	letters []Letter
	dropped int
	held    int
	most    int
}

// Held returns how many mails wait for Hold, and how many did at once at most.
func (m *MailServer) Held() (now, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held, m.most
}

// hold waits for Hold.
func (m *MailServer) hold() {
	if m.Hold == nil {
		return
	}
	m.mu.Lock()
	m.held++
	m.most = max(m.most, m.held)
	m.mu.Unlock()
	<-m.Hold
	m.mu.Lock()
	m.held--
	m.mu.Unlock()
}

// MailUser and MailPassword are whom the server knows.
const (
	MailUser     = "avisos"
	MailPassword = "decolagem"
)

// NewMailServer starts a mail server.
func NewMailServer(t testing.TB, plain bool) *MailServer {
	t.Helper()
	certificate, trust := newCertificate()
	m := &MailServer{
		Trust:     trust,
		Authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), Plain: plain,
	}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailSession{server: m, conn: c}, nil }))
	server.Domain, server.ErrorLog = "mail.example", log.New(io.Discard, "", 0)
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.AllowInsecureAuth = false
	if !plain {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.Address = listener.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
	return m
}

// Letters returns the mails that came whole, also those whose sender was not told so.
func (m *MailServer) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter(nil), m.letters...)
}

type mailSession struct {
	server   *MailServer
	conn     *smtp.Conn
	from, to string
	known    bool
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != MailUser || password != MailPassword {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.known && !s.server.Plain {
		return smtp.ErrAuthRequired
	}
	switch {
	case strings.HasPrefix(from, "later"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "come back later"}
	case strings.HasPrefix(from, "never"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "\x1b[31mnot your address"}
	}
	s.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "later"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted: come back to " + to}
	case strings.HasPrefix(to, "never"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody is " + to}
	case strings.HasPrefix(to, "denied"):
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: to + ": Relay access denied"}
	}
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.hold()
	s.server.mu.Lock()
	s.server.letters = append(s.server.letters, Letter{s.from, s.to, string(text)})
	drop := strings.HasPrefix(s.to, "drop") && s.server.dropped == 0
	if drop {
		s.server.dropped++
	}
	s.server.mu.Unlock()
	if drop {
		s.conn.Conn().Close()
		return errors.New("dropped")
	}
	return nil
}

func (*mailSession) Reset() {}

func (*mailSession) Logout() error { return nil }
