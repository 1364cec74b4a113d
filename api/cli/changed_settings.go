package cli

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// secretSettings are those whose values are not told: they are secrets, or addresses that may hold
// one.
var secretSettings = []string{"JWT_SECRET", "ADMIN_TOKEN", "DATABASE_URL", "LISTEN_DATABASE_URL", "REDIS_URL", "SENTRY_DSN", "JWKS_URL",
	"AUTH_HOOK_URL", "VAPID_PRIVATE_KEY", "SMTP_URL", "NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET", "ACME_EMAIL"}

// changedSettings returns the settings of a command that differ from their defaults, as NAME=value,
// sorted. Of what may be a secret it says only that it is set.
func changedSettings(command *kong.Context) (told []string) {
	for _, flag := range command.Flags() {
		if len(flag.Envs) == 0 {
			continue
		}
		value, name := settingText(command.FlagValue(flag)), flag.Envs[0]
		switch {
		case !flag.Set || strings.EqualFold(value, flag.Default) || sameTime(value, flag.Default):
		case slices.Contains(secretSettings, name):
			told = append(told, name+" is set")
		default:
			told = append(told, name+"="+value)
		}
	}
	slices.Sort(told)
	return told
}

// settingText returns a setting's value as somebody would write it.
func settingText(value any) string {
	switch v := value.(type) {
	case []string:
		return strings.Join(v, ",")
	case *bool:
		if v == nil {
			return ""
		}
		return strconv.FormatBool(*v)
	}
	return fmt.Sprint(value)
}

// sameTime reports whether two texts are the same duration, like 24h and 24h0m0s.
func sameTime(one, other string) bool {
	a, errA := time.ParseDuration(one)
	b, errB := time.ParseDuration(other)
	return errA == nil && errB == nil && a == b
}

// logStart says what starts, with which settings.
func (s *Settings) logStart(log *slog.Logger) {
	revision, _ := built()
	log.Info("starting", "version", version, "commit", revision, "go", runtime.Version(), "settings", s.told)
}
