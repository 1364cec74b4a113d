package sender

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
)

const hostile = "a\r\nBcc: x@evil.example"

func testMail(t *testing.T, server *outboxtest.MailServer, credentials string) *Mail {
	t.Helper()
	m, err := NewMail("smtp://"+credentials+server.Address, "HangarShare <avisos@portal.example>", server.Trust)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parts reads a letter: its header, its text and its HTML.
func parts(t *testing.T, letter outboxtest.Letter) (header mail.Header, text, html string) {
	t.Helper()
	message, err := mail.ReadMessage(strings.NewReader(letter.Text))
	if err != nil {
		t.Fatalf("%v\n%s", err, letter.Text)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	for reader := multipart.NewReader(message.Body, parameters["boundary"]); ; {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return message.Header, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			html = string(raw)
		} else {
			text = string(raw)
		}
	}
}

// TestMail sends by a real mail server, with what a hostile guest would write.
func TestMail(t *testing.T) {
	t.Parallel()
	server := outboxtest.NewMailServer(t, false)
	m := testMail(t, server, outboxtest.MailUser+":"+outboxtest.MailPassword+"@")
	message := outbox.Message{
		ID: "42", Kind: "booking_created", Language: "pt-BR", Title: "Nova reserva · " + hostile + " <script>", Body: hostile + "<script>alert(1)</script> · R$ 10,00",
		Lines: []outbox.Line{{Title: "<b>" + hostile, Link: "https://live.portal.example/?n=1&d=2"}},
		Link:  "https://live.portal.example/?n=7&d=42", Unsubscribe: "https://live.portal.example/unsubscribe?t=secret", Name: "Olga " + hostile + " <x@evil.example>", Address: "olga@portal.example",
	}
	if r := m.Send(t.Context(), message); r.Status != outbox.Sent || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	letters := server.Letters()
	if len(letters) != 1 || letters[0].To != "olga@portal.example" || letters[0].From != "avisos@portal.example" {
		t.Fatalf("%+v", letters)
	}
	header, text, html := parts(t, letters[0])
	for name := range header {
		if strings.EqualFold(name, "Bcc") || strings.EqualFold(name, "Cc") {
			t.Errorf("a header %s: %v", name, header[name])
		}
	}
	to, err := header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "olga@portal.example" {
		t.Errorf("To is %v, %v", to, err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<d42@portal.example>", "List-Unsubscribe": "<https://live.portal.example/unsubscribe?t=secret>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Auto-Submitted": "auto-generated", "From": `"HangarShare" <avisos@portal.example>`,
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if strings.Contains(html, "<script>") || strings.Contains(html, "<b>") || !strings.Contains(html, "&lt;script&gt;") || !strings.Contains(html, "?n=1&amp;d=2") {
		t.Errorf("the HTML is\n%s", html)
	}
	if !strings.Contains(text, "unsubscribe?t=secret") || !strings.Contains(text, "https://live.portal.example/?n=7&d=42") {
		t.Errorf("the text is\n%s", text)
	}

	// one that cannot be ended says so, and has no way to
	message.ID, message.Unsubscribe = "43", ""
	m.Send(t.Context(), message)
	header, text, _ = parts(t, server.Letters()[1])
	if header.Get("List-Unsubscribe") != "" || !strings.Contains(text, "segurança") {
		t.Errorf("%v\n%s", header, text)
	}
}

// TestLettersOnTheWire reads the bytes of mails as programs for mail are strict about them: lines
// and encoded words of a length that they take, ASCII alone, dots that are doubled, one of each
// header, no name of a library.
func TestLettersOnTheWire(t *testing.T) {
	t.Parallel()
	script := outboxtest.NewScript(t, outboxtest.Plain, map[string]string{"EHLO": "250 mail.example"})
	m := scriptedMail(t, script, outboxtest.Plain)
	long := strings.Repeat("H", 120)
	for n, title := range []string{"x", "New booking", "Nova reserva · " + long + " · 12 a 15 mar", long, strings.Repeat("é", 120), strings.Repeat("😀 ", 60), "=?utf-8?q?x?= ü", "\ufeffa\u202eb"} {
		name := strings.Repeat("José ", n) + `"x" <a@b.example>, ` + long
		message := outbox.Message{
			ID: "42", Language: "pt-BR", Title: title, Body: ".\n..\n" + strings.Repeat("é.", 500), Name: name, Address: "olga@portal.example",
			Lines: []outbox.Line{{Title: strings.Repeat("a", 2000), Link: "https://live.portal.example/?n=1&d=2"}},
			Link:  "https://live.portal.example/?n=7&d=42", Unsubscribe: "https://live.portal.example/unsubscribe?t=" + long,
		}
		if r := m.Send(t.Context(), message); r.Status != outbox.Sent {
			t.Fatalf("%q: %+v", title, r)
		}
		wire := script.Texts()[n]
		head, _, _ := strings.Cut(wire, "\r\n\r\n")
		for _, line := range strings.Split(strings.TrimSuffix(wire, "\r\n"), "\r\n") {
			if len(line) > 998 || !isASCII(line) || strings.ContainsAny(line, "\r\n\x00") || line == "." || line != "" && strings.TrimSpace(line) == "" {
				t.Errorf("%q: a line %q", title, line)
			}
		}
		for word := range strings.FieldsSeq(head) {
			if strings.HasPrefix(word, "=?") && len(word) > 75 {
				t.Errorf("%q: an encoded word of %d bytes", title, len(word))
			}
		}
		header, text, _ := parts(t, outboxtest.Letter{Text: strings.ReplaceAll(wire, "\r\n..", "\r\n.")})
		for key, values := range header {
			if len(values) != 1 {
				t.Errorf("%q: %d headers %s", title, len(values), key)
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
		if err != nil || subject != title {
			t.Errorf("the subject is %q, want %q; %v", subject, title, err)
		}
		if to, err := header.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != name || to[0].Address != "olga@portal.example" {
			t.Errorf("To is %v, %v, want %q", to, err, name)
		}
		if _, err := header.Date(); err != nil || header.Get("X-Auto-Response-Suppress") != "OOF, AutoReply" || header.Get("User-Agent")+header.Get("X-Mailer") != "" {
			t.Errorf("%v, %v", err, header)
		}
		if !strings.Contains(text, "\r\n.\r\n..\r\n"+message.Body[5:]) || !strings.Contains(text, message.Unsubscribe) || !strings.Contains(text, message.Lines[0].Title) {
			t.Errorf("the text is\n%s", text)
		}
	}
}

// TestAnswersOfMailServers has a mail server answer in all ways.
func TestAnswersOfMailServers(t *testing.T) {
	t.Parallel()
	server := outboxtest.NewMailServer(t, false)
	good := testMail(t, server, outboxtest.MailUser+":"+outboxtest.MailPassword+"@")
	message := func(to string) outbox.Message {
		return outbox.Message{ID: "9", Language: "en", Title: "x", Address: to}
	}
	for to, want := range map[string]outbox.Result{
		"later@portal.example": {Status: outbox.Again, Code: 451}, "never@portal.example": {Status: outbox.Refused, Code: 550},
		"": {Status: outbox.Refused}, "a b": {Status: outbox.Refused}, "a@b\r\nBcc: x@y.example": {Status: outbox.Refused}, "olga@portal.example,x@evil.example": {Status: outbox.Refused},
		"Olga <olga@portal.example>": {Status: outbox.Refused},
	} {
		got := good.Send(t.Context(), message(to))
		if got.Err == nil || to != "" && strings.Contains(got.Err.Error(), to) {
			t.Errorf("%q: the error is %v", to, got.Err)
		}
		if got.Err = nil; got != want {
			t.Errorf("%q: %+v, want %+v", to, got, want)
		}
	}
	// dropped after the mail came whole: it may come twice, under one id
	if r := good.Send(t.Context(), message("drop@portal.example")); r.Status != outbox.Again || r.Code != 0 {
		t.Errorf("dropped: %+v", r)
	}
	if r := good.Send(t.Context(), message("drop@portal.example")); r.Status != outbox.Sent {
		t.Errorf("again: %+v", r)
	}
	letters := server.Letters()
	if len(letters) != 2 {
		t.Fatalf("%d letters", len(letters))
	}
	first, _, _ := parts(t, letters[0])
	second, _, _ := parts(t, letters[1])
	if first.Get("Message-Id") != second.Get("Message-Id") {
		t.Errorf("the same mail is %s and %s", first.Get("Message-Id"), second.Get("Message-Id"))
	}

	if r := testMail(t, server, "avisos:wrong@").Send(t.Context(), message("olga@portal.example")); r.Status != outbox.Ours || strings.Contains(r.Err.Error(), "wrong") {
		t.Errorf("a wrong password: %+v", r)
	}
	distrusting, err := NewMail("smtp://avisos:decolagem@"+server.Address, "avisos@portal.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := distrusting.Send(t.Context(), message("olga@portal.example")); r.Status != outbox.Ours {
		t.Errorf("a certificate of nobody: %+v", r)
	}
	plain := outboxtest.NewMailServer(t, true)
	if r := testMail(t, plain, "").Send(t.Context(), message("olga@portal.example")); r.Status != outbox.Ours {
		t.Errorf("without STARTTLS: %+v", r)
	}
	relay, err := NewMail("smtp://"+plain.Address+"?starttls=no", "avisos@portal.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := relay.Send(t.Context(), message("olga@portal.example")); r.Status != outbox.Sent || len(plain.Letters()) != 1 {
		t.Errorf("a relay: %+v, %d letters", r, len(plain.Letters()))
	}
	plain.Address = "127.0.0.1:1"
	if r := testMail(t, plain, "").Send(t.Context(), message("olga@portal.example")); r.Status != outbox.Again {
		t.Errorf("nobody listens: %+v", r)
	}
	if len(server.Letters()) != 2 {
		t.Error("something was sent that should not")
	}
}

func TestMailSettings(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "mail.example:587", "http://mail.example", "smtp://", "smtp://mail.example/x", "smtp://mail.example:99999", "smtp://a:b@mail.example?starttls=no",
		"smtp://mail.example?starttls=false", "smtp://mail.example?tls=no", "smtps://mail.example?starttls=no", "smtp://user@mail.example", "smtp://:b@mail.example", "smtp://a:b/c@mail.example"} {
		if _, err := NewMail(bad, "avisos@portal.example", nil); err == nil || strings.Contains(err.Error(), "a:b") || !strings.Contains(err.Error(), "SMTP_URL") {
			t.Errorf("SMTP_URL=%q: %v", bad, err)
		}
	}
	for address, want := range map[string]string{"smtp://mail.example": "mail.example:587", "smtps://mail.example": "mail.example:465", "smtp://[::1]?starttls=no": "[::1]:25", "smtp://[::1]:2525": "[::1]:2525"} {
		m, err := NewMail(address, "avisos@portal.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		m.dial = func(_ context.Context, _, got string) (net.Conn, error) {
			if got != want {
				t.Errorf("SMTP_URL=%s leads to %s, want %s", address, got, want)
			}
			return nil, net.ErrClosed
		}
		m.Check(t.Context())
	}
	for _, bad := range []string{"", "avisos", "a@b, c@d", "a@b\r\nBcc: x@y.example"} {
		if _, err := NewMail("smtp://mail.example", bad, nil); err == nil {
			t.Errorf("MAIL_FROM=%q is taken", bad)
		}
	}
}

// TestWebhook posts mail to a portal, which checks the signature as Standard Webhooks says.
func TestWebhook(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	answers := []int{204, 503, 302, 400, 410, 401, 404, 405, 409, 413, 422, 429}
	want := []outbox.Status{outbox.Sent, outbox.Again, outbox.Ours, outbox.Again, outbox.Ours, outbox.Ours, outbox.Ours, outbox.Ours, outbox.Again, outbox.Refused, outbox.Again, outbox.Again}
	var calls int
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		signer := Webhook{secrets: [][]byte{key}}
		var told webhookBody
		if h.Get("Webhook-Id") != "42" || h.Get("Webhook-Signature") != signer.sign("42", h.Get("Webhook-Timestamp"), body) ||
			json.Unmarshal(body, &told) != nil || told.Type != "notification.mail" || told.Data.Email != "olga@portal.example" || told.Data.Subject != "Nova reserva" ||
			told.Data.HTML == "" || told.Data.Unsubscribe == "" {
			t.Errorf("%v\n%s", h, body)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answers[calls])
		calls++
	}))
	t.Cleanup(portal.Close)
	hook, err := NewWebhook(portal.URL, "whsec_"+base64.StdEncoding.EncodeToString(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.client.CloseIdleConnections)
	for i := range answers {
		r := hook.Send(t.Context(), outbox.Message{ID: "42", UserID: "7", Title: "Nova reserva", Address: "olga@portal.example", Unsubscribe: "https://x.example/unsubscribe?t=1"})
		if r.Status != want[i] || r.Code != answers[i] {
			t.Errorf("%d: %+v", answers[i], r)
		}
	}
	if calls != len(answers) {
		t.Errorf("%d calls: a redirect was followed", calls)
	}
	// the example of the specification
	const known, signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	next := "whsec_" + base64.StdEncoding.EncodeToString(key)
	for secrets, want := range map[string][2]string{known: {signature, ""}, known + " " + next: {signature, "v1,"}, " " + next + "\n" + known: {"v1,", signature}} {
		spec, err := NewWebhook(portal.URL, secrets)
		if err != nil {
			t.Fatal(err)
		}
		first, second, _ := strings.Cut(spec.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)), " ")
		if !strings.HasPrefix(first, want[0]) || !strings.HasPrefix(second, want[1]) || first == second {
			t.Errorf("the specification's example is signed by %q and %q, want %q", first, second, want)
		}
	}
	for _, bad := range []string{"", " ", "whsec_", "whsec_AAAA", next + " whsec_AAAA", next + "," + next, "not base64 at all, but long enough for it"} {
		if _, err := NewWebhook(portal.URL, bad); err == nil {
			t.Errorf("NOTIFY_WEBHOOK_SECRET=%q is taken", bad)
		}
	}
}
