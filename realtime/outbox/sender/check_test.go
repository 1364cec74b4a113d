package sender

import (
	"bytes"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
)

// answering listens on loopback and tells each who connects one text.
func answering(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(connection, text)
			connection.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

// TestCheckOfMail looks at mail servers of every kind. No mail is sent.
func TestCheckOfMail(t *testing.T) {
	t.Parallel()
	server, plain := outboxtest.NewMailServer(t, false), outboxtest.NewMailServer(t, true)
	const good = outboxtest.MailUser + ":" + outboxtest.MailPassword + "@"
	for _, c := range []struct {
		url, from      string
		distrusts      bool
		level          db.Level
		says, proposes string
	}{
		{url: "smtp://" + good + server.Address, level: db.Fine, says: "takes mails from avisos@portal.example, by TLS 1.3; none was sent"},
		{url: "smtp://" + plain.Address + "?starttls=no", level: db.Fine, says: "without encryption"},
		{url: "smtp://avisos:forgotten@" + server.Address, level: db.Obstacle, says: "refuses the user or the password: 535", proposes: "SMTP_URL"},
		{url: "smtp://" + good + server.Address, distrusts: true, level: db.Obstacle, says: "certificate", proposes: "SSL_CERT_FILE"},
		{url: "smtp://" + plain.Address, level: db.Obstacle, says: "no STARTTLS", proposes: "?starttls=no"},
		{url: "smtps://" + good + server.Address, level: db.Obstacle, says: "does not begin with TLS", proposes: "smtp://"},
		{url: "smtp://" + server.Address, level: db.Obstacle, says: "takes no mails from avisos@portal.example", proposes: "user and password"},
		{url: "smtp://" + good + server.Address, from: "never@portal.example", level: db.Obstacle, says: `takes no mails from never@portal.example: 550, "5.7.1 \x1b[31mnot your address"`, proposes: "MAIL_FROM"},
		{url: "smtp://" + good + server.Address, from: "later@portal.example", level: db.Warning, says: "451", proposes: "later"},
		{url: "smtp://" + answering(t, "554 5.7.1 you are listed\r\n"), level: db.Obstacle, says: `554 before any mail: "5.7.1 you are listed"`, proposes: "this machine's address"},
		{url: "smtp://" + answering(t, "421 too busy\r\n"), level: db.Warning, says: "421", proposes: "later"},
		{url: "smtp://" + answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), level: db.Obstacle, says: "nothing that is SMTP", proposes: "smtps://"},
		{url: "smtp://" + answering(t, ""), level: db.Obstacle, says: "nothing that is SMTP", proposes: "smtps://"},
		{url: "smtp://127.0.0.1:1", level: db.Obstacle, says: "cannot be reached", proposes: "firewall"},
	} {
		trust, from := server.Trust, "avisos@portal.example"
		if c.distrusts {
			trust = nil
		}
		if c.from != "" {
			from = c.from
		}
		m, err := NewMail(c.url, from, trust)
		if err != nil {
			t.Fatal(err)
		}
		found := m.Check(t.Context())
		if found.Area != "mail" || found.Level != c.level || !strings.Contains(found.Text, c.says) || !strings.Contains(found.Cure, c.proposes) {
			t.Errorf("%s: %+v, want %s %q, %q", c.url, found, c.level, c.says, c.proposes)
		}
		if (found.Level == db.Fine) != (found.Cure == "") || strings.Contains(found.Text+found.Cure, "forgotten") || strings.Contains(found.Text, outboxtest.MailPassword) {
			t.Errorf("%s: %+v", c.url, found)
		}
	}
	if n := len(server.Letters()) + len(plain.Letters()); n > 0 {
		t.Errorf("%d mails were sent", n)
	}
}

// TestCheckOfWebhook connects to portals. Nothing is posted.
func TestCheckOfWebhook(t *testing.T) {
	t.Parallel()
	posted := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) })
	plain, secure := httptest.NewServer(posted), httptest.NewUnstartedServer(posted)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, c := range []struct {
		url            string
		trusts         bool
		level          db.Level
		says, proposes string
	}{
		{url: secure.URL + "/hooks/mail", trusts: true, level: db.Fine, says: "nothing was posted"},
		{url: secure.URL, level: db.Obstacle, says: "TLS fails", proposes: "SSL_CERT_FILE"},
		{url: plain.URL, level: db.Fine, says: "nothing was posted"},
		{url: strings.Replace(plain.URL, "http", "https", 1), level: db.Obstacle, says: "TLS fails", proposes: "no TLS"},
		{url: "http://127.0.0.1:1", level: db.Obstacle, says: "cannot be reached", proposes: "NOTIFY_WEBHOOK_URL"},
	} {
		hook, err := NewWebhook(c.url, secret)
		if err != nil {
			t.Fatal(err)
		}
		if c.trusts {
			hook.client = secure.Client()
		}
		found := hook.Check(t.Context())
		if found.Area != "webhook" || found.Level != c.level || !strings.Contains(found.Text, c.says) || !strings.Contains(found.Cure, c.proposes) || (found.Level == db.Fine) != (found.Cure == "") {
			t.Errorf("%s: %+v, want %s %q, %q", c.url, found, c.level, c.says, c.proposes)
		}
	}
}
