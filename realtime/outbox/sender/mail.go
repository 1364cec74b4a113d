package sender

import (
	"bytes"
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net"
	"net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

// mailTimeout bounds each step of a session with the mail server. Two of them end before the lease
// of a delivery does.
const mailTimeout = 10 * time.Second

//go:embed mail.html mail.txt
var mailFiles embed.FS

var (
	mailHTML = htmltemplate.Must(htmltemplate.ParseFS(mailFiles, "mail.html"))
	mailText = texttemplate.Must(texttemplate.ParseFS(mailFiles, "mail.txt"))
)

// mailPage is what the templates of a mail are filled with.
type mailPage struct {
	outbox.Message
	Words *words.Words
}

// compose returns a mail's subject, text and HTML. What others wrote is in Title, Body and Lines:
// one line each, and escaped in HTML.
func compose(m outbox.Message) (subject, plain, html string, err error) {
	page := mailPage{m, words.Of(m.Language)}
	var text, markup bytes.Buffer
	if err := mailText.Execute(&text, page); err != nil {
		return "", "", "", fmt.Errorf("write a mail: %w", err)
	}
	if err := mailHTML.Execute(&markup, page); err != nil {
		return "", "", "", fmt.Errorf("write a mail: %w", err)
	}
	return m.Title, text.String(), markup.String(), nil
}

// Mail sends by a mail server of the operator's.
type Mail struct {
	host     string
	port     string
	implicit bool // TLS from the start
	signsIn  bool
	domain   string
	from     *mail.Address
	options  []gomail.Option
}

// NewMail returns a Mail. address is smtp://user:password@host:587, which asks for STARTTLS and
// sends nothing without it, or smtps://…:465, or smtp://host?starttls=no for a relay on a network
// that nobody else hears. trust is nil for the machine's authorities.
func NewMail(address, from string, trust *tls.Config) (*Mail, error) {
	wrong := errors.New("SMTP_URL must be like smtp://user:password@mail.example:587, or smtps://…:465; in user and password write / ? # % as %2F %3F %23 %25")
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return nil, wrong
	}
	if u.RawQuery != "" && (u.RawQuery != "starttls=no" || u.Scheme != "smtp") {
		return nil, errors.New("SMTP_URL may end with ?starttls=no, after smtp://, and with no other parameter")
	}
	if _, hasPassword := u.User.Password(); u.User != nil && (!hasPassword || u.User.Username() == "") {
		return nil, errors.New("SMTP_URL must have both a user and a password, or none of them")
	}
	sender, err := mail.ParseAddress(from)
	if err != nil || strings.ContainsFunc(from, func(r rune) bool { return r < ' ' }) {
		return nil, errors.New(`MAIL_FROM must be an address, like "HangarShare <avisos@portal.example>"`)
	}
	config := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if trust != nil {
		config = trust.Clone()
	}
	m := &Mail{host: u.Hostname(), implicit: u.Scheme == "smtps", signsIn: u.User != nil, from: sender, domain: sender.Address[strings.LastIndexByte(sender.Address, '@')+1:]}
	m.options = []gomail.Option{gomail.WithTimeout(mailTimeout), gomail.WithTLSConfig(config), gomail.WithHELO(m.domain), gomail.WithoutNoop()}
	port := "587"
	switch plain := u.RawQuery != ""; {
	case u.Scheme == "smtps":
		port = "465"
		m.options = append(m.options, gomail.WithSSL())
	case u.Scheme != "smtp":
		return nil, wrong
	case plain && u.User != nil:
		return nil, errors.New("SMTP_URL has starttls=no and a password: it would be sent for everybody to read")
	case plain:
		port = "25"
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if u.Port() != "" {
		port = u.Port()
	}
	number, err := strconv.Atoi(port)
	if err != nil || number > 65535 {
		return nil, wrong
	}
	m.port = port
	m.options = append(m.options, gomail.WithPort(number))
	if u.User != nil {
		password, _ := u.User.Password()
		m.options = append(m.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	if _, err := gomail.NewClient(m.host, m.options...); err != nil {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	return m, nil
}

// Host implements outbox.Sender.
func (*Mail) Host(outbox.Message) string { return "smtp" }

// Send implements outbox.Sender.
func (m *Mail) Send(ctx context.Context, message outbox.Message) outbox.Result {
	letter, err := m.letter(message)
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: err}
	}
	client, err := gomail.NewClient(m.host, m.options...)
	if err != nil {
		return outbox.Result{Status: outbox.Ours, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*mailTimeout)
	defer cancel()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return dialResult(err)
	}
	defer client.CloseWithSMTPClient(session) //nolint:errcheck // the mail is taken, or will be sent again
	err = client.SendWithSMTPClient(session, letter)
	if err == nil || letter.IsDelivered() { // what fails after that is for nobody
		return outbox.Result{Status: outbox.Sent, Code: 250}
	}
	return letterResult(err)
}

// Check connects to the mail server as for a mail, signs in, and asks whether MAIL_FROM may send.
// No mail is sent.
func (m *Mail) Check(ctx context.Context) db.Finding {
	client, err := gomail.NewClient(m.host, m.options...)
	if err != nil {
		return db.Finding{Area: "mail", Level: db.Obstacle, Text: err.Error(), Cure: "look at SMTP_URL"}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*mailTimeout)
	defer cancel()
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return m.explain(err)
	}
	defer client.CloseWithSMTPClient(session) //nolint:errcheck // what was asked is answered
	if err := session.Mail(m.from.Address); err != nil {
		return m.explainFrom(err)
	}
	how := "without encryption"
	if state, err := session.GetTLSConnectionState(); err == nil {
		how = "by " + tls.VersionName(state.Version)
	}
	return db.Finding{Area: "mail", Level: db.Fine, Text: fmt.Sprintf("the mail server %s takes mails from %s, %s; none was sent", m.server(), m.from.Address, how)}
}

// server names the mail server.
func (m *Mail) server() string { return net.JoinHostPort(m.host, m.port) }

// letter writes a message as a mail.
func (m *Mail) letter(message outbox.Message) (*gomail.Msg, error) {
	subject, plain, html, err := compose(message)
	if err != nil {
		return nil, err
	}
	letter := gomail.NewMsg()
	letter.FromMailAddress(m.from)
	to, err := mail.ParseAddress(message.Address)
	if err != nil || to.Address != message.Address {
		return nil, errors.New("the user's e-mail address is none")
	}
	letter.ToMailAddress(&mail.Address{Name: message.Name, Address: to.Address})
	letter.Subject(subject)
	letter.SetDate()
	// The same on a repeat: programs for mail drop the second.
	letter.SetMessageIDWithValue("d" + message.ID + "@" + m.domain)
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetGenHeader("Content-Language", message.Language)
	if u := message.Unsubscribe; u != "" {
		if letter.SetListUnsubscribeOneClick(u) != nil { // no https: there is no one click then
			letter.SetListUnsubscribe(u)
		}
	}
	letter.SetBodyString(gomail.TypeTextPlain, plain)
	letter.AddAlternativeString(gomail.TypeTextHTML, html)
	return letter, nil
}

// dialResult says what it means that the mail server could not be talked to.
func dialResult(err error) outbox.Result {
	var said *textproto.Error
	if errors.As(err, &said) {
		if said.Code >= 500 {
			return outbox.Result{Status: outbox.Ours, Code: said.Code, Err: fmt.Errorf("the mail server answers %d before any mail", said.Code)}
		}
		return outbox.Result{Status: outbox.Again, Code: said.Code, Err: fmt.Errorf("the mail server answers %d before any mail", said.Code)}
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) || strings.Contains(err.Error(), "STARTTLS") || strings.Contains(err.Error(), "AUTH") {
		return outbox.Result{Status: outbox.Ours, Err: err}
	}
	return outbox.Result{Status: outbox.Again, Err: err}
}

// letterResult says what it means that the mail server did not take a mail. What it says in words
// may name the address, so only its number is told.
func letterResult(err error) outbox.Result {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return outbox.Result{Status: outbox.Again, Err: errors.New("the connection to the mail server broke")}
	}
	code := failed.ErrorCode()
	r := outbox.Result{Status: outbox.Again, Code: code, Err: fmt.Errorf("the mail server answers %d to the mail", code)}
	switch {
	case code == 530 || code == 535 || code == 550 && failed.Reason == gomail.ErrSMTPMailFrom:
		// we are not let in, or may not send as MAIL_FROM
		r.Status = outbox.Ours
	case code >= 500:
		r.Status = outbox.Refused
	case code == 0:
		r.Err = errors.New("the connection to the mail server broke: it may have taken the mail")
	}
	return r
}
