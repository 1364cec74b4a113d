package e2e

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// newVAPID returns a key pair as `hangarshare vapid` prints it.
func newVAPID(t *testing.T) (private, public string) {
	t.Helper()
	var out bytes.Buffer
	if code := harness.Run(t.Context(), []string{"vapid"}, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	lines := strings.Split(out.String(), "\n")
	return strings.TrimPrefix(lines[0], "VAPID_PRIVATE_KEY="), lines[1][strings.LastIndexByte(lines[1], ' ')+1:]
}

// TestCheckTellsOfChannels looks at what leaves the house: at the key for web push, and at mail
// servers and portals that are there, away, or want something else. Nothing is sent.
func TestCheckTellsOfChannels(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	relay := outboxtest.NewMailServer(t, true)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) }))
	t.Cleanup(hook.Close)
	private, public := newVAPID(t)
	secret := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	const site, subject = "--public-url=https://live.portal.example", "--vapid-subject=mailto:ops@portal.example.com"
	check := func(want []string, flags ...string) {
		t.Helper()
		var out bytes.Buffer
		code := harness.Run(t.Context(), append([]string{"check", "--database-url", portal.URL, "--jwt-secret", harness.Secret}, flags...), &out, &out)
		fails := false
		for _, line := range want {
			fails = fails || strings.HasPrefix(line, "MEND")
			if !strings.Contains(out.String(), line) {
				t.Errorf("%v: no %q in:\n%s", flags, line, out.String())
			}
		}
		if (code != 0) != fails || strings.Contains(out.String(), private) || strings.Contains(out.String(), secret) {
			t.Errorf("%v: exit code %d:\n%s", flags, code, out.String())
		}
	}
	check([]string{"note  push: web push is off", "note  mail: mail is off"})
	check([]string{"ok    push: browsers get the public key " + public, "ok    push: devices that were added with this key: 0"}, "--vapid-private-key", private, subject)
	portal.Exec(t, `INSERT INTO realtime.push_subscriptions (user_id, endpoint_hash, endpoint, p256dh, auth, key_id, label)
		VALUES ('7', '\x01', 'https://push.example/1', '\x04', '\x01', 'former', 'Firefox')`)
	check([]string{"warn  push: devices that were added with this key: 0; with another one, so that nothing reaches them: 1", "→ set the former VAPID_PRIVATE_KEY"},
		"--vapid-private-key", private, subject)
	for flags, line := range map[string]string{
		"--vapid-private-key=" + public + " " + subject:                            "MEND  push: VAPID_PRIVATE_KEY is a public key",
		"--vapid-private-key=" + private:                                           "MEND  push: VAPID_PRIVATE_KEY needs VAPID_SUBJECT",
		"--vapid-private-key=" + private + " --vapid-subject=mailto:ops@localhost": "MEND  push: VAPID_SUBJECT must be",
		subject:               "MEND  push: VAPID_SUBJECT needs VAPID_PRIVATE_KEY",
		"--push-hosts=*.corp": "MEND  push: PUSH_HOSTS",
		site + " --mail-from=a@portal.example --smtp-url=smtp://" + relay.Address + "?starttls=no": "ok    mail: the mail server " + relay.Address + " takes mails from a@portal.example",
		site + " --mail-from=a@portal.example --smtp-url=smtp://" + relay.Address:                  "MEND  mail: the mail server " + relay.Address + " offers no STARTTLS",
		"--mail-from=a@portal.example --smtp-url=smtp://" + relay.Address + "?starttls=no":         "MEND  mail: mail needs PUBLIC_URL",
		site + " --smtp-url=smtp://" + relay.Address + "?starttls=no":                              "MEND  mail: SMTP_URL and MAIL_FROM go together",
		site + " --notify-webhook-secret=" + secret + " --notify-webhook-url=" + hook.URL:          "ok    webhook: ",
		site + " --notify-webhook-secret=" + secret + " --notify-webhook-url=http://127.0.0.1:1":   "MEND  webhook: 127.0.0.1:1 cannot be reached",
		site + " --notify-webhook-secret=short --notify-webhook-url=" + hook.URL:                   "MEND  mail: NOTIFY_WEBHOOK_SECRET must be",
	} {
		check([]string{line}, strings.Fields(flags)...)
	}
	if n := len(relay.Letters()); n > 0 {
		t.Errorf("%d mails were sent", n)
	}
}

// TestCheckSignsInToMail has the program read its settings from a file and sign in to a mail server
// whose authority this machine trusts.
func TestCheckSignsInToMail(t *testing.T) {
	t.Parallel()
	server := outboxtest.NewMailServer(t, false)
	folder := t.TempDir()
	file, authority := filepath.Join(folder, "env"), filepath.Join(folder, "authority.pem")
	harness.Must(t, os.WriteFile(authority, server.Authority, 0o600))
	for password, want := range map[string]string{
		outboxtest.MailPassword: "ok    mail: the mail server " + server.Address + " takes mails from avisos@portal.example, by TLS 1.3; none was sent",
		"forgotten":             "MEND  mail: the mail server " + server.Address + " refuses the user or the password",
	} {
		settings := "JWT_SECRET=" + harness.Secret + "\nPUBLIC_URL=https://live.portal.example\nMAIL_FROM=avisos@portal.example\nSMTP_URL=smtp://" +
			outboxtest.MailUser + ":" + password + "@" + server.Address + "\n"
		harness.Must(t, os.WriteFile(file, []byte(settings), 0o600))
		command := exec.Command(harness.OwnBinary(t), "check", "--env-file", file)
		command.Env = append(os.Environ(), "SSL_CERT_FILE="+authority)
		out, err := command.CombinedOutput()
		if !strings.Contains(string(out), want) || (err != nil) != (password == "forgotten") || strings.Contains(string(out), "forgotten") {
			t.Errorf("%v, want %q in:\n%s", err, want, out)
		}
	}
	if n := len(server.Letters()); n > 0 {
		t.Errorf("%d mails were sent", n)
	}
}

// TestCheckTellsOfEverySetting names each setting of a server that a start would refuse, all at
// once.
func TestCheckTellsOfEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := harness.Run(t.Context(), []string{"check", "--jwt-secret", harness.Secret, "--heartbeat-interval=1ms", "--drain-time=-1s",
		"--max-connections=-1", "--trusted-proxies=proxy.example", "--public-url=portal", "--booking-url=https://portal.example/", "--admin-addr=:9090",
		"--max-database-connections=2", "--sentry-dsn=x", "--tls-cert-file=/none", "--tls-key-file=/none"}, &out, &out)
	for _, name := range []string{"HEARTBEAT_INTERVAL", "DRAIN_TIME", "MAX_CONNECTIONS", "TRUSTED_PROXIES", "PUBLIC_URL", "BOOKING_URL", "ADMIN_ADDR",
		"MAX_DATABASE_CONNECTIONS", "SENTRY_DSN", "TLS_CERT_FILE"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("nothing of %s", name)
		}
	}
	if n := strings.Count(out.String(), "MEND  "); code != 1 || n != 10 {
		t.Errorf("exit code %d, %d lines:\n%s", code, n, out.String())
	}
}
