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
	"net/url"
	"strconv"
	"strings"
	texttemplate "text/template"
	"unicode"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

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
	host, port     string
	implicit       bool // TLS from the start
	startTLS       bool
	trust          *tls.Config
	signsIn        bool
	user, password string
	domain         string // that of MAIL_FROM, in ASCII
	from           *mail.Address
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
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
	password, hasPassword := u.User.Password()
	if u.User != nil && (!hasPassword || u.User.Username() == "") {
		return nil, errors.New("SMTP_URL must have both a user and a password, or none of them")
	}
	wrongFrom := errors.New(`MAIL_FROM must be an address, like "HangarShare <avisos@portal.example>"`)
	sender, err := mail.ParseAddress(from)
	if err != nil || strings.ContainsFunc(from, func(r rune) bool { return r < ' ' }) {
		return nil, wrongFrom
	}
	if sender.Address, err = asciiDomain(sender.Address); err != nil {
		return nil, wrongFrom
	}
	m := &Mail{
		host: u.Hostname(), implicit: u.Scheme == "smtps", signsIn: u.User != nil, user: u.User.Username(), password: password,
		trust: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12},
		from:  sender, domain: sender.Address[strings.LastIndexByte(sender.Address, '@')+1:],
		dial: (&net.Dialer{}).DialContext,
	}
	if trust != nil {
		m.trust = trust.Clone()
	}
	switch plain := u.RawQuery != ""; {
	case u.Scheme == "smtps":
		m.port = "465"
	case u.Scheme != "smtp":
		return nil, wrong
	case plain && u.User != nil:
		return nil, errors.New("SMTP_URL has starttls=no and a password: it would be sent for everybody to read")
	case plain:
		m.port = "25"
	default:
		m.port, m.startTLS = "587", true
	}
	if u.Port() != "" {
		m.port = u.Port()
	}
	if number, err := strconv.Atoi(m.port); err != nil || number < 1 || number > 65535 {
		return nil, wrong
	}
	return m, nil
}

// asciiDomain returns an address with its domain as the DNS has it (RFC 5890), which every mail
// server takes.
func asciiDomain(address string) (string, error) {
	at := strings.LastIndexByte(address, '@') + 1
	if isASCII(address[at:]) {
		return address, nil
	}
	domain, err := idna.Lookup.ToASCII(address[at:])
	return address[:at] + domain, err
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// Host implements outbox.Sender.
func (*Mail) Host(outbox.Message) string { return "smtp" }

// AtOnce implements outbox.Bounded.
func (*Mail) AtOnce() int { return mailAtOnce }

// Send implements outbox.Sender.
func (m *Mail) Send(ctx context.Context, message outbox.Message) outbox.Result {
	e, err := m.envelope(message)
	if err != nil {
		return outbox.Result{Status: outbox.Refused, Err: err}
	}
	c, err := m.converse(ctx)
	if err != nil {
		return dialResult(err)
	}
	last, err := c.hand(ctx, e)
	c.close(err)
	if err != nil {
		return letterResult(last, err, e.utf8)
	}
	return outbox.Result{Status: outbox.Sent, Code: 250}
}

// Check connects to the mail server as for a mail, signs in, and asks whether MAIL_FROM may send.
// No mail is sent.
func (m *Mail) Check(ctx context.Context) db.Finding {
	c, err := m.converse(ctx)
	if err != nil {
		return m.explain(err)
	}
	from := path(m.from.Address)
	c.client.SkipSMTPUTF8(isASCII(from))
	err = c.client.Mail(from)
	state, notEncrypted := c.client.GetTLSConnectionState()
	c.close(err)
	if err != nil {
		return m.explainFrom(err)
	}
	how := "without encryption"
	if notEncrypted == nil {
		how = "by " + tls.VersionName(state.Version)
	}
	return db.Finding{Area: "mail", Level: db.Fine, Text: fmt.Sprintf("the mail server %s takes mails from %s, %s; none was sent", m.server(), m.from.Address, how)}
}

// server names the mail server.
func (m *Mail) server() string { return net.JoinHostPort(m.host, m.port) }

// envelope is a mail as the commands of SMTP carry it.
type envelope struct {
	from, to string // in angle brackets
	utf8     bool   // an address cannot be written in ASCII
	text     []byte
}

// maxPath is the most bytes of an address that mail servers have to take, in its angle brackets
// (RFC 5321, section 4.5.3.1.3). They end conversations about longer ones, as if all were wrong.
const maxPath = 256

// path returns an address as the commands of SMTP name it.
func path(address string) string { return (&mail.Address{Address: address}).String() }

// envelope writes a message as a mail, and addresses it.
func (m *Mail) envelope(message outbox.Message) (e envelope, err error) {
	wrong := errors.New("the user's e-mail address is none")
	// The portal may have it with spaces around, and with marks that other programs put there.
	address := strings.TrimFunc(message.Address, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	to, err := mail.ParseAddress(address)
	if err != nil || path(to.Address) != "<"+address+">" {
		return e, wrong
	}
	if to.Address, err = asciiDomain(to.Address); err != nil || len(path(to.Address)) > maxPath {
		return e, wrong
	}
	to.Name = message.Name
	letter, err := m.letter(message, to)
	if err != nil {
		return e, err
	}
	var text bytes.Buffer
	if _, err := letter.WriteTo(&text); err != nil {
		return e, fmt.Errorf("write a mail: %w", err)
	}
	e = envelope{from: path(m.from.Address), to: path(to.Address), text: text.Bytes()}
	e.utf8 = !isASCII(e.from + e.to)
	return e, nil
}

// letter writes a message as a mail to an address.
func (m *Mail) letter(message outbox.Message, to *mail.Address) (*gomail.Msg, error) {
	subject, plain, html, err := compose(message)
	if err != nil {
		return nil, err
	}
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	letter.FromMailAddress(m.from)
	letter.ToMailAddress(to)
	letter.Subject(subject)
	letter.SetDate()
	// The same on a repeat: programs for mail drop the second.
	letter.SetMessageIDWithValue("d" + message.ID + "@" + m.domain)
	// Nobody's absence is of interest to MAIL_FROM: RFC 3834, and what Exchange goes by.
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetGenHeader("X-Auto-Response-Suppress", "OOF, AutoReply")
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
