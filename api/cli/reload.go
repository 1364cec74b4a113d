package cli

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// reload reads ENV_FILE again at each SIGHUP until ctx ends. LOG_LEVEL counts at once; what else
// has changed is named, and counts from the next start. A file that cannot be read or understood
// changes nothing. Without ENV_FILE, SIGHUP ends the process as it does by default: a terminal that
// is closed must not leave a server behind.
func (s *Settings) reload(ctx context.Context, log *slog.Logger) {
	if s.EnvFile == "" {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		before := s.fromFile.values
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			again, err := s.parseAgain()
			if err == nil {
				err = cmp.Or(again.Serve.serverSettings.check(), again.check())
			}
			if err != nil {
				log.Error("ENV_FILE was not taken over: what it said before stays", "error", err)
				continue
			}
			s.level.Set(again.LogLevel)
			after := again.fromFile.values
			later := slices.DeleteFunc(changed(before, after), func(name string) bool { return name == "LOG_LEVEL" })
			before = after
			log.Info("ENV_FILE was read again", "level", again.LogLevel)
			if len(later) > 0 {
				log.Warn("some settings count from the next start: restart the server", "settings", later)
			}
		}
	}()
}

// changed returns the names whose values differ, sorted.
func changed(before, after map[string]string) (names []string) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for name := range all {
		old, was := before[name]
		if now, is := after[name]; was != is || old != now {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
