package sender

import (
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
)

// TestRefusalsOfMailServers has a mail server refuse in the words of those that there are, at each
// step of a mail. What is the operator's waits and raises the alarm; what may be so does when
// another user's is refused as well; what is the user's ends.
func TestRefusalsOfMailServers(t *testing.T) {
	t.Parallel()
	again, busy := outbox.Result{Status: outbox.Again}, outbox.Result{Status: outbox.Again, RetryAfter: busyPause}
	refused, ours, doubtful := outbox.Result{Status: outbox.Refused}, outbox.Result{Status: outbox.Ours}, outbox.Result{Status: outbox.Ours, Doubtful: true}
	const ascii, beyond = "olga@portal.example", "josé@portal.example"
	for _, c := range []struct {
		step, says, to string
		want           outbox.Result
	}{
		{"MAIL", "550 5.7.1 not your address", ascii, ours},
		{"MAIL", "553 5.7.1 <avisos@portal.example>: Sender address rejected: not owned by user a", ascii, ours},
		{"MAIL", "501 5.1.7 Bad sender address syntax", ascii, ours},
		{"MAIL", "530 5.7.0 Authentication required", ascii, ours},
		{"MAIL", "552 5.2.2 the account of the sender is full", ascii, ours},
		{"MAIL", "550 who are you", ascii, ours},
		{"MAIL", "555 5.6.7 SMTPUTF8 is not for you", ascii, ours},
		{"MAIL", "555 5.6.7 SMTPUTF8 is not for you", beyond, doubtful},
		{"MAIL", "421 4.3.2 closing", ascii, busy},
		{"MAIL", "452 4.3.1 no space", ascii, again},

		{"RCPT", "550 5.1.1 <olga@portal.example>: User unknown", ascii, refused},
		{"RCPT", "550 no such user", ascii, refused},
		{"RCPT", "550-5.1.1 nobody\r\n550 5.1.1 of that name", ascii, refused},
		{"RCPT", "552 5.2.2 mailbox full", ascii, refused},
		{"RCPT", "550 5.2.1 the mailbox is disabled", ascii, refused},
		{"RCPT", "550 5.4.1 Recipient address rejected: Access denied", ascii, refused},
		{"RCPT", "556 5.1.10 takes no mail", ascii, refused},
		{"RCPT", "501 5.1.3 Bad recipient address syntax", ascii, refused},
		{"RCPT", "501 syntax", ascii, refused},
		{"RCPT", "550 5.7.17 the mailbox has another owner", ascii, refused},
		{"RCPT", "553 5.7.1 <avisos@portal.example>: Sender address rejected: not owned by user a", ascii, doubtful},
		{"RCPT", "554 5.7.1 <olga@portal.example>: Relay access denied", ascii, doubtful},
		{"RCPT", "550 5.7.1 the recipient wants nothing from you", ascii, doubtful},
		{"RCPT", "550 5.1.0 <avisos@portal.example>: Sender address rejected: User unknown", ascii, doubtful},
		{"RCPT", "550 5.1.8 <avisos@portal.example>: Sender address rejected: Domain not found", ascii, ours},
		{"RCPT", "550 5.7.25 no reverse DNS", ascii, ours},
		{"RCPT", "530 5.7.0 Must issue a STARTTLS command first", ascii, ours},
		{"RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", ascii, doubtful},
		{"RCPT", "550 relay not permitted, authentication required", ascii, doubtful},
		{"RCPT", "503 AUTH first", ascii, doubtful},
		{"RCPT", "554 Transaction failed", ascii, doubtful},
		{"RCPT", "450 4.2.0 greylisted", ascii, again},
		{"RCPT", "421 4.7.0 too fast", ascii, busy},

		{"DATA", "554 5.5.1 no valid recipients", ascii, doubtful},
		{"DATA", "451 4.3.0 later", ascii, again},
		{"dot", "552 5.3.4 too large", ascii, refused},
		{"dot", "550 5.6.0 the content is wrong", ascii, refused},
		{"dot", "554 5.7.1 looks like spam", ascii, doubtful},
		{"dot", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", ascii, doubtful},
		{"dot", "554 5.2.252 SendAsDenied", ascii, doubtful},
		{"dot", "550 5.4.5 Daily user sending limit exceeded", ascii, doubtful},
		{"dot", "554 Message rejected: Email address is not verified", ascii, doubtful},
		{"dot", "451 4.7.1 later", ascii, again},
		{"dot", "432 4.3.2 Concurrent connections limit exceeded", ascii, busy},
		{"dot", "250-2.0.0 queued\r\n250 2.0.0 as 1", ascii, outbox.Result{Status: outbox.Sent, Code: 250}},
		{"dot", "252 it will be tried", ascii, outbox.Result{Status: outbox.Sent, Code: 250}},
	} {
		t.Run(c.step+" "+c.says, func(t *testing.T) {
			t.Parallel()
			script := outboxtest.NewScript(t, outboxtest.Plain, map[string]string{c.step: c.says})
			r := scriptedMail(t, script, outboxtest.Plain).Send(t.Context(), outbox.Message{ID: "9", Language: "en", Title: "x", Address: c.to})
			if sent := c.want.Status == outbox.Sent; (r.Err == nil) != sent || !sent && (!strings.Contains(r.Err.Error(), c.says[:3]) || strings.Contains(r.Err.Error(), "@")) {
				t.Errorf("the error is %v", r.Err)
			}
			if got := (outbox.Result{Status: r.Status, Doubtful: r.Doubtful, RetryAfter: r.RetryAfter, Code: c.want.Code}); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if commands := script.Commands(); commands[len(commands)-1] != "QUIT" {
				t.Errorf("it ends by %q", commands)
			}
		})
	}
}
