package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/sender"
)

// developmentSubject is whom push services may write to about a server with a private PostgreSQL
// whose operator has not said anything.
const developmentSubject = "https://github.com/hangarshare/hangarshare-realtime"

// notifySettings say by what notifications leave the house.
type notifySettings struct {
	VAPIDPrivateKey     string   `name:"vapid-private-key" env:"VAPID_PRIVATE_KEY" placeholder:"KEY" help:"Key by which push services know this installation, from hangarshare vapid. Without it there is no web push." group:"Notifications"`
	VAPIDSubject        string   `name:"vapid-subject" env:"VAPID_SUBJECT" placeholder:"CONTACT" help:"Where the operators of push services may reach you: mailto: with a real address, or an https address." group:"Notifications"`
	PushHosts           []string `env:"PUSH_HOSTS" placeholder:"HOST,…" help:"Push services of your own, beside those of the browsers: a host, or host:port. They may be on a private network." group:"Notifications"`
	SMTPURL             string   `name:"smtp-url" env:"SMTP_URL" placeholder:"URL" help:"Mail server that sends notifications: smtp://user:password@host:587 with STARTTLS, or smtps://. Without it, and without NOTIFY_WEBHOOK_URL, there is no mail." group:"Notifications"`
	MailFrom            string   `env:"MAIL_FROM" placeholder:"ADDRESS" help:"Who mails come from." group:"Notifications"`
	NotifyWebhookURL    string   `name:"notify-webhook-url" env:"NOTIFY_WEBHOOK_URL" placeholder:"URL" help:"Where mails are posted in place of SMTP_URL, for portals that send by themselves." group:"Notifications"`
	NotifyWebhookSecret string   `env:"NOTIFY_WEBHOOK_SECRET" placeholder:"TEXT" help:"What signs these posts by Standard Webhooks: whsec_ and 24 bytes or more in base64; of several, with spaces between, each signs." group:"Notifications"`
}

// push returns what sends web push, nil where it is not set up. development returns the key of a
// server with a private PostgreSQL.
func (n *notifySettings) push(s *Settings, development func() (string, error)) (*sender.Push, error) {
	hosts, err := sender.NewHosts(named(n.PushHosts))
	if err != nil {
		return nil, fmt.Errorf("PUSH_HOSTS: %w", err)
	}
	key, subject := n.VAPIDPrivateKey, n.VAPIDSubject
	switch {
	case key == "" && subject == "" && s.DatabaseURL != "":
		return nil, nil
	case key != "" && subject == "":
		return nil, errors.New("VAPID_PRIVATE_KEY needs VAPID_SUBJECT: where push services may reach you, like mailto:ops@your-portal.com.br")
	case key == "" && s.DatabaseURL != "":
		return nil, errors.New("VAPID_SUBJECT needs VAPID_PRIVATE_KEY: make one with `hangarshare vapid`")
	case key == "":
		if key, err = development(); err != nil {
			return nil, err
		}
	}
	if subject == "" {
		subject = developmentSubject
	}
	keys, err := sender.NewVAPID(key, subject)
	if err != nil {
		return nil, err
	}
	return &sender.Push{Keys: keys, Hosts: hosts, Client: hosts.Client(nil)}, nil
}

// mail returns what sends mail, nil where it is not set up.
func (n *notifySettings) mail(publicURL string) (outbox.Sender, error) {
	switch {
	case n.SMTPURL != "" && n.NotifyWebhookURL != "":
		return nil, errors.New("SMTP_URL and NOTIFY_WEBHOOK_URL exclude each other: mail goes one way")
	case (n.SMTPURL == "") != (n.MailFrom == ""):
		return nil, errors.New("SMTP_URL and MAIL_FROM go together: set both or none")
	case (n.NotifyWebhookURL == "") != (n.NotifyWebhookSecret == ""):
		return nil, errors.New("NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET go together: set both or none")
	case n.SMTPURL == "" && n.NotifyWebhookURL == "":
		return nil, nil
	case publicURL == "":
		return nil, errors.New("mail needs PUBLIC_URL: its links lead there, also the one that ends it")
	case n.SMTPURL != "":
		return sender.NewMail(n.SMTPURL, n.MailFrom, nil)
	}
	u, err := url.Parse(n.NotifyWebhookURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("NOTIFY_WEBHOOK_URL is no address: write it like https://portal.example/hooks/mail")
	}
	return sender.NewWebhook(n.NotifyWebhookURL, n.NotifyWebhookSecret)
}

// channels are the ways out of the house that are set up.
type channels struct {
	senders   map[db.Channel]outbox.Sender
	push      *sender.Push // nil: no web push
	publicURL string
}

// channels reads the settings of what leaves the house. Nothing is begun yet.
func (c *serveCommand) channels(s *Settings) (channels, error) {
	is := channels{senders: map[db.Channel]outbox.Sender{}, publicURL: strings.TrimSuffix(c.PublicURL, "/")}
	var err error
	if is.push, err = c.push(s, s.developmentVAPID); err != nil {
		return is, err
	}
	if is.push != nil {
		is.senders[db.ChannelPush] = is.push
	}
	letters, err := c.mail(is.publicURL)
	if letters != nil {
		is.senders[db.ChannelMail] = letters
	}
	return is, err
}

// inUse returns the channels for which deliveries are made.
func (c channels) inUse() []db.Channel { return slices.Sorted(maps.Keys(c.senders)) }

// serve has a server send notifications by these channels, and answer what belongs to that.
func (c channels) serve(server *api.Server, store *db.Store, log *slog.Logger) {
	deliveries := db.NewDeliveries(store)
	if c.push != nil {
		deliveries.KeyID = c.push.Keys.ID()
	}
	out := &outbox.Outbox{
		Store: deliveries, Senders: c.senders, PublicURL: c.publicURL, Location: store.Location(), Now: time.Now, Log: log,
	}
	server.Notifications.Channels = c.inUse()
	server.Push = &handlers.Push{Users: store, Devices: deliveries, Sender: c.push, Outbox: out, Log: log}
	server.Sent = &handlers.Sent{Users: store, Deliveries: deliveries, Log: log}
	server.Unsubscribe = &handlers.Unsubscribe{Tokens: deliveries, Log: log}
	server.Services = append(server.Services, out)
	if c.senders[db.ChannelMail] != nil { // a server that cannot send them plans none
		server.Services = append(server.Services,
			&outbox.Digests{Store: deliveries, Accounts: store, Location: store.Location(), Now: time.Now, Log: log})
	}
}

// vapidFile is where the development key is kept.
func (s *Settings) vapidFile() string { return filepath.Join(s.DataDir, "vapid_private_key") }

// keptVAPID returns the key that is kept in DATA_DIR, "" where there is none.
func (s *Settings) keptVAPID() (string, error) {
	text, err := os.ReadFile(s.vapidFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the development key for web push: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// passingVAPID is developmentVAPID that keeps nothing.
func (s *Settings) passingVAPID() (string, error) {
	key, err := s.keptVAPID()
	if err == nil && key == "" {
		key, _, err = sender.NewVAPIDKey()
	}
	return key, err
}

// developmentVAPID returns the key that is kept in DATA_DIR, and makes it first where there is
// none.
func (s *Settings) developmentVAPID() (string, error) {
	key, err := s.keptVAPID()
	if err != nil || key != "" {
		return key, err
	}
	if key, _, err = sender.NewVAPIDKey(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.DataDir, 0o755); err != nil {
		return "", fmt.Errorf("make DATA_DIR: %w", err)
	}
	if err := os.WriteFile(s.vapidFile(), []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the development key for web push: %w", err)
	}
	return key, nil
}

type vapidCommand struct{}

// Run prints a key pair for web push.
func (vapidCommand) Run(out io.Writer) error {
	private, public, err := sender.NewVAPIDKey()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "VAPID_PRIVATE_KEY=%s\n# its public key, which browsers get: %s\n# another key: every device has to be added again, which the page does when it is opened\n", private, public)
	return err
}
