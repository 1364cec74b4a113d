package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
)

// checkCertificate looks at the certificate in files, where there is one.
func (c *checkCommand) checkCertificate(f *findings) {
	if c.TLSCertFile == "" || c.TLSKeyFile == "" {
		return
	}
	files, err := api.NewCertificateFiles(c.TLSCertFile, c.TLSKeyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		f.mend("%v", err)
		return
	}
	if err := files.InForce(); err != nil {
		f.mend("browsers refuse the certificate in TLS_CERT_FILE: %v", err)
		return
	}
	f.good("the certificate in TLS_CERT_FILE fits its key")
}

// checkPush looks at the key for web push and at what it is for. store is nil where no database can
// be asked.
func (c *checkCommand) checkPush(ctx context.Context, s *Settings, store *db.Store, f *findings) {
	const area = "push"
	push, err := c.push(s, s.passingVAPID)
	switch {
	case err != nil:
		f.add(db.Finding{Area: area, Level: db.Obstacle, Text: err.Error()})
		return
	case push == nil:
		f.add(db.Finding{Area: area, Level: db.Note, Text: "web push is off: VAPID_PRIVATE_KEY is not set, which `hangarshare vapid` prints"})
		return
	case c.VAPIDPrivateKey == "": // a private PostgreSQL's, with a key of its own
		return
	}
	f.add(db.Finding{Area: area, Level: db.Fine, Text: "browsers get the public key " + push.Keys.Public() + "; push services may write to " + c.VAPIDSubject})
	if c.PublicURL != "" && !strings.HasPrefix(c.PublicURL, "https://") {
		f.add(db.Finding{Area: area, Level: db.Warning, Text: "PUBLIC_URL is no https address: browsers offer no push there", Cure: "put the server behind https"})
	}
	if store != nil {
		f.add(devicesByKey(ctx, store, push.Keys.ID()))
	}
}

// devicesByKey tells whether devices were added with the key for web push that is set.
func devicesByKey(ctx context.Context, store *db.Store, keyID string) db.Finding {
	deliveries := db.NewDeliveries(store)
	deliveries.KeyID = keyID
	ours, others, err := deliveries.DevicesByKey(ctx)
	found := db.Finding{Area: "push", Level: db.Fine, Text: fmt.Sprintf("devices that were added with this key: %d", ours)}
	if err != nil {
		return db.Finding{Area: "push", Level: db.Note, Text: "with which key devices were added was not asked: " + err.Error()}
	}
	if others > 0 {
		found.Text += fmt.Sprintf("; with another one, so that nothing reaches them: %d", others)
		found.Level, found.Cure = db.Note, "none needed after a change of the key: their pages add them again when they are opened"
	}
	if others > 0 && ours == 0 {
		found.Level, found.Cure = db.Warning, "set the former VAPID_PRIVATE_KEY, if there still is one; else devices are added again when their pages are opened"
	}
	return found
}

// checkMail connects to what sends mail. Nothing is sent.
func (c *checkCommand) checkMail(ctx context.Context, f *findings) {
	letters, err := c.mail(c.PublicURL)
	if err != nil {
		f.add(db.Finding{Area: "mail", Level: db.Obstacle, Text: err.Error()})
		return
	}
	by, set := letters.(interface {
		Check(context.Context) db.Finding
	})
	if !set {
		f.add(db.Finding{Area: "mail", Level: db.Note, Text: "mail is off: neither SMTP_URL nor NOTIFY_WEBHOOK_URL is set"})
		return
	}
	f.add(by.Check(ctx))
	if !strings.HasPrefix(c.PublicURL, "https://") {
		f.add(db.Finding{Area: "mail", Level: db.Note, Text: "PUBLIC_URL is no https address: programs for mail show no button that ends these mails, only their link does"})
	}
}
