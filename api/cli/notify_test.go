package cli

import (
	"log/slog"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/sender"
)

// TestDigestsArePlannedByWhoSendsThem looks at the services of servers with and without mail.
func TestDigestsArePlannedByWhoSendsThem(t *testing.T) {
	t.Parallel()
	for channel, want := range map[db.Channel]bool{db.ChannelMail: true, db.ChannelPush: false} {
		server := &api.Server{Notifications: &handlers.Notifications{}}
		channels{senders: map[db.Channel]outbox.Sender{channel: &sender.Push{}}}.serve(server, &db.Store{}, slog.New(slog.DiscardHandler))
		planned := false
		for _, service := range server.Services {
			if _, ok := service.(*outbox.Digests); ok {
				planned = true
			}
		}
		if planned != want {
			t.Errorf("a server with %s alone plans digests: %t", channel, planned)
		}
	}
}
