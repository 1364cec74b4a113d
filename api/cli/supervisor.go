package cli

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/hangarshare/hangarshare-realtime/api"
)

// supervisor returns who watches over this process by sd_notify(3), nil where nobody does: the
// environment names its socket (NOTIFY_SOCKET) and its patience (WATCHDOG_USEC). progress are
// counters that grow while the server works.
func supervisor(log *slog.Logger, progress ...func() uint64) *api.Supervisor {
	listens, err := daemon.SdNotify(false, "STATUS=starting")
	if err != nil {
		log.Warn("the service manager cannot be told how this server is", "error", err)
	}
	if !listens {
		return nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog is not fed", "error", err)
	}
	return &api.Supervisor{Watchdog: watchdog, Progress: progress, Tell: func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("the service manager was not told", "state", state, "error", err)
		}
	}}
}

// inherited returns the socket that the service manager listens on for this process
// (sd_listen_fds(3)), nil where there is none. It outlives the process: connections that come while
// one server has ended and the next has not begun wait instead of being refused.
func inherited() (net.Listener, error) {
	listeners, err := activation.Listeners()
	if err != nil || len(listeners) == 0 {
		return nil, err
	}
	if _, isTCP := listeners[0].(*net.TCPListener); len(listeners) > 1 || !isTCP {
		for _, l := range listeners {
			if l != nil {
				l.Close()
			}
		}
		return nil, fmt.Errorf("the service manager passed %d sockets: pass one that listens for TCP, in place of ADDR",
			len(listeners))
	}
	return listeners[0], nil
}
