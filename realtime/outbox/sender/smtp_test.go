package sender

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
)

// scriptedMail returns what sends by a script, with a user and a password where that is encrypted.
func scriptedMail(t *testing.T, script *outboxtest.Script, kind outboxtest.ScriptKind) *Mail {
	t.Helper()
	address := map[outboxtest.ScriptKind]string{
		outboxtest.Plain: "smtp://" + script.Address + "?starttls=no", outboxtest.STARTTLS: "smtp://a:b@" + script.Address, outboxtest.Implicit: "smtps://a:b@" + script.Address,
	}[kind]
	m, err := NewMail(address, "HangarShare <avisos@portal.example>", script.Trust)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// left waits until a connection to a script has ended.
func left(t *testing.T, script *outboxtest.Script) {
	t.Helper()
	select {
	case <-script.Left:
	case <-time.After(time.Minute):
		t.Fatal("the connection is left open")
	}
}

// TestMailServersThatStop has a mail server hang, and end the connection, at each step of a
// conversation. What it has taken is sent, whatever comes after; nobody is left connected.
func TestMailServersThatStop(t *testing.T) {
	t.Parallel()
	for kind, name := range map[outboxtest.ScriptKind]string{outboxtest.STARTTLS: "smtp", outboxtest.Implicit: "smtps"} {
		for _, step := range outboxtest.ScriptSteps {
			if kind == outboxtest.Implicit && (step == "STARTTLS" || step == "EHLO again") {
				continue
			}
			for _, does := range []string{"hang", "close"} {
				t.Run(name+" "+step+" "+does, func(t *testing.T) {
					t.Parallel()
					script := outboxtest.NewScript(t, kind, map[string]string{step: does})
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if does == "hang" && step != "QUIT" {
						go func() {
							<-script.Reached
							cancel() // as the deadline would, and sooner
						}()
					}
					r := scriptedMail(t, script, kind).Send(ctx, outbox.Message{ID: "9", Language: "en", Title: "x", Address: "olga@portal.example"})
					want, texts := outbox.Result{Status: outbox.Again}, 0
					switch step {
					case "QUIT":
						want, texts = outbox.Result{Status: outbox.Sent, Code: 250}, 1
					case "dot":
						texts = 1
						if r.Err == nil || !strings.Contains(r.Err.Error(), "it may have taken the mail") {
							t.Errorf("the error is %v", r.Err)
						}
					}
					if (r.Err == nil) != (want.Status == outbox.Sent) {
						t.Errorf("the error is %v", r.Err)
					}
					if r.Err = nil; r != want {
						t.Errorf("%+v, want %+v", r, want)
					}
					if n := len(script.Texts()); n != texts {
						t.Errorf("%d mails came, want %d", n, texts)
					}
					left(t, script)
				})
			}
		}
	}
}

// TestChecksThatStop has a mail server hang, and end the connection, while the settings are looked
// at: each time that is told, and nobody is left connected.
func TestChecksThatStop(t *testing.T) {
	t.Parallel()
	for _, step := range outboxtest.ScriptSteps {
		if slices.Contains([]string{"RCPT", "DATA", "dot"}, step) {
			continue // no mail is sent
		}
		for _, does := range []string{"hang", "close"} {
			t.Run(step+" "+does, func(t *testing.T) {
				t.Parallel()
				script := outboxtest.NewScript(t, outboxtest.STARTTLS, map[string]string{step: does})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if does == "hang" && step != "QUIT" {
					go func() {
						<-script.Reached
						cancel()
					}()
				}
				found := scriptedMail(t, script, outboxtest.STARTTLS).Check(ctx)
				if fine := step == "QUIT"; (found.Level == db.Fine) != fine || (found.Cure == "") != fine {
					t.Errorf("%+v", found)
				}
				left(t, script)
			})
		}
	}
}

// TestMailServersThatRefuseEarly has a mail server answer badly before any mail. The connection is
// ended each time.
func TestMailServersThatRefuseEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps map[string]string
		want  outbox.Result
	}{
		"not now":             {map[string]string{"greeting": "421 4.3.2 too many connections"}, outbox.Result{Status: outbox.Again, Code: 421, RetryAfter: busyPause}},
		"listed":              {map[string]string{"greeting": "554 5.7.1 you are listed"}, outbox.Result{Status: outbox.Ours, Code: 554}},
		"a long greeting":     {map[string]string{"greeting": "220-mail.example\r\n220-says much\r\n220 to everybody"}, outbox.Result{Status: outbox.Sent, Code: 250}},
		"not HTTP":            {map[string]string{"greeting": "HTTP/1.1 400 Bad Request"}, outbox.Result{Status: outbox.Again}},
		"no such name":        {map[string]string{"EHLO": "550 5.7.1 who", "HELO": "550 5.7.1 who"}, outbox.Result{Status: outbox.Ours, Code: 550}},
		"no STARTTLS":         {map[string]string{"EHLO": "250 mail.example"}, outbox.Result{Status: outbox.Ours}},
		"no TLS at present":   {map[string]string{"STARTTLS": "454 4.7.0 not now"}, outbox.Result{Status: outbox.Again, Code: 454, RetryAfter: busyPause}},
		"words before TLS":    {map[string]string{"STARTTLS": "220 go ahead\r\n250-somebody.else\r\n250 AUTH X-SECRET"}, outbox.Result{Status: outbox.Sent, Code: 250}},
		"no TLS after it":     {map[string]string{"TLS": "250 nothing of TLS"}, outbox.Result{Status: outbox.Ours}},
		"no way to sign in":   {map[string]string{"EHLO again": "250 mail.example"}, outbox.Result{Status: outbox.Ours}},
		"none that is known":  {map[string]string{"EHLO again": "250-mail.example\r\n250 AUTH X-SECRET"}, outbox.Result{Status: outbox.Ours}},
		"a wrong password":    {map[string]string{"AUTH": "535 5.7.8 no"}, outbox.Result{Status: outbox.Ours, Code: 535}},
		"signing in, not now": {map[string]string{"AUTH": "454 4.7.0 not now"}, outbox.Result{Status: outbox.Again, Code: 454, RetryAfter: busyPause}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := outboxtest.NewScript(t, outboxtest.STARTTLS, c.steps)
			m := scriptedMail(t, script, outboxtest.STARTTLS)
			r := m.Send(t.Context(), outbox.Message{ID: "9", Language: "en", Title: "x", Address: "olga@portal.example"})
			if (r.Err == nil) != (c.want.Status == outbox.Sent) {
				t.Errorf("the error is %v", r.Err)
			}
			if r.Err = nil; r != c.want {
				t.Errorf("%+v, want %+v", r, c.want)
			}
			left(t, script)
			m.Check(t.Context())
			left(t, script)
		})
	}
}

// TestMailServersThatDrip has a mail server say everything a byte at a time, and another one never
// end a reply.
func TestMailServersThatDrip(t *testing.T) {
	t.Parallel()
	drip := make(map[string]string)
	for _, step := range outboxtest.ScriptSteps {
		if step != "TLS" && step != "STARTTLS" {
			drip[step] = "drip"
		}
	}
	message := outbox.Message{ID: "9", Language: "en", Title: "x", Address: "olga@portal.example"}
	for _, kind := range []outboxtest.ScriptKind{outboxtest.Plain, outboxtest.STARTTLS, outboxtest.Implicit} {
		script := outboxtest.NewScript(t, kind, drip)
		if r := scriptedMail(t, script, kind).Send(t.Context(), message); r.Status != outbox.Sent || len(script.Texts()) != 1 {
			t.Errorf("%d: %+v", kind, r)
		}
	}
	for _, step := range []string{"greeting", "EHLO", "EHLO again", "AUTH", "MAIL", "RCPT", "DATA", "dot"} {
		script := outboxtest.NewScript(t, outboxtest.STARTTLS, map[string]string{step: "endless"})
		if r := scriptedMail(t, script, outboxtest.STARTTLS).Send(t.Context(), message); r.Status != outbox.Again || r.Code != 0 || !slices.Contains(outboxtest.ScriptSteps[6:], step) && !errors.Is(r.Err, errTalkative) {
			t.Errorf("without end at %s: %+v", step, r)
		}
		left(t, script)
	}
	script := outboxtest.NewScript(t, outboxtest.STARTTLS, map[string]string{"QUIT": "endless"})
	if r := scriptedMail(t, script, outboxtest.STARTTLS).Send(t.Context(), message); r.Status != outbox.Sent {
		t.Errorf("without end at QUIT: %+v", r)
	}
}

// TestMailTakenWhileStopping stops the server while the mail server thinks about a mail: it is not
// cut off from the answer, and so not sent twice.
func TestMailTakenWhileStopping(t *testing.T) {
	t.Parallel()
	script := outboxtest.NewScript(t, outboxtest.STARTTLS, map[string]string{"dot": "wait"})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-script.Reached
		stop()
		script.GoOn <- struct{}{}
	}()
	if r := scriptedMail(t, script, outboxtest.STARTTLS).Send(ctx, outbox.Message{ID: "9", Language: "en", Title: "x", Address: "olga@portal.example"}); r.Status != outbox.Sent {
		t.Errorf("%+v", r)
	}
}

// TestOneDeadline has a mail server take its time at each step, which no step makes more of.
func TestOneDeadline(t *testing.T) {
	t.Parallel()
	for pause, want := range map[time.Duration]outbox.Status{3 * time.Second: outbox.Sent, 5 * time.Second: outbox.Again} {
		synctest.Test(t, func(t *testing.T) {
			m, err := NewMail("smtp://mail.example?starttls=no", "avisos@portal.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			m.dial = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer close(ended)
					defer theirs.Close()
					said := make([]byte, 4096)
					for _, answer := range []string{"220 mail.example", "250 mail.example", "250 go on", "250 go on", "354 go ahead", "250 queued", "221 bye"} {
						time.Sleep(pause)
						if _, err := theirs.Write([]byte(answer + "\r\n")); err != nil {
							return
						}
						for text := ""; !strings.HasSuffix(text, "\r\n") || answer[0] == '3' && !strings.HasSuffix(text, "\r\n.\r\n"); {
							n, err := theirs.Read(said)
							if err != nil {
								return
							}
							text += string(said[:n])
						}
					}
				}()
				return ours, nil
			}
			begun := time.Now()
			r := m.Send(t.Context(), outbox.Message{ID: "9", Language: "en", Title: "x", Address: "olga@portal.example"})
			if took := time.Since(begun); r.Status != want || took > mailTime {
				t.Errorf("steps of %s: %+v, after %s", pause, r, took)
			}
			<-ended
		})
	}
}

// TestCommandsOfMail reads what is said to a mail server: the addresses are written as RFC 5321
// wants them, and SMTPUTF8 is asked for only where an address needs it.
func TestCommandsOfMail(t *testing.T) {
	t.Parallel()
	// 254 bytes
	longest := strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "exampl"
	with, without := "250-mail.example\r\n250-8BITMIME\r\n250 SMTPUTF8", "250 mail.example"
	for to, c := range map[string]struct {
		ehlo, mail, rcpt string
		status           outbox.Status
	}{
		"olga@portal.example":     {with, "MAIL FROM:<avisos@portal.example> BODY=8BITMIME", "RCPT TO:<olga@portal.example>", outbox.Sent},
		"o'neil+x@portal.example": {without, "MAIL FROM:<avisos@portal.example>", "RCPT TO:<o'neil+x@portal.example>", outbox.Sent},
		"olga@avião.example":      {without, "MAIL FROM:<avisos@portal.example>", "RCPT TO:<olga@xn--avio-ioa.example>", outbox.Sent},
		"josé@portal.example":     {with, "MAIL FROM:<avisos@portal.example> BODY=8BITMIME SMTPUTF8", "RCPT TO:<josé@portal.example>", outbox.Sent},
		" olga@portal.example\t":  {without, "MAIL FROM:<avisos@portal.example>", "RCPT TO:<olga@portal.example>", outbox.Sent},
		"joão@portal.example":     {without, "", "", outbox.Refused},
		"olga@-avião-.example":    {with, "", "", outbox.Refused},
		// as some programs hand over what is copied from them
		"\u202aolga@portal.example\u202c": {without, "MAIL FROM:<avisos@portal.example>", "RCPT TO:<olga@portal.example>", outbox.Sent},
		`"olga @ home"@portal.example`:    {without, "MAIL FROM:<avisos@portal.example>", `RCPT TO:<"olga @ home"@portal.example>`, outbox.Sent},
		longest:                           {without, "MAIL FROM:<avisos@portal.example>", "RCPT TO:<" + longest + ">", outbox.Sent},
		"x" + longest:                     {without, "", "", outbox.Refused},
		"olga@portal.example\u200b":       {with, "MAIL FROM:<avisos@portal.example> BODY=8BITMIME", "RCPT TO:<olga@portal.example>", outbox.Sent},
	} {
		script := outboxtest.NewScript(t, outboxtest.Plain, map[string]string{"EHLO": c.ehlo})
		m := scriptedMail(t, script, outboxtest.Plain)
		r := m.Send(t.Context(), outbox.Message{ID: "9", Language: "en", Title: "x", Address: to})
		if r.Status != c.status || r.Err != nil && strings.Contains(r.Err.Error(), to) {
			t.Errorf("%s: %+v", to, r)
		}
		said := []string{"EHLO portal.example", c.mail, c.rcpt, "DATA", "QUIT"}
		if c.status != outbox.Sent {
			said = []string{"EHLO portal.example", "QUIT"}
			if strings.Contains(to, "-") || len(to) > len(longest) {
				said = nil
			}
		}
		if got := script.Commands(); !slices.Equal(got, said) {
			t.Errorf("%s: %q, want %q", to, got, said)
		}
	}
	script := outboxtest.NewScript(t, outboxtest.STARTTLS, nil)
	if found := scriptedMail(t, script, outboxtest.STARTTLS).Check(t.Context()); found.Cure != "" {
		t.Errorf("%+v", found)
	}
	want := []string{"EHLO portal.example", "STARTTLS", "EHLO portal.example", "AUTH", "MAIL FROM:<avisos@portal.example> BODY=8BITMIME", "QUIT"}
	if got := script.Commands(); !slices.Equal(got, want) {
		t.Errorf("the check says %q, want %q", got, want)
	}
}
