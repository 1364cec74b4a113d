package handlers

import (
	"slices"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// TestUnsubscribeSpeaksEachLanguage: the page that a mail leads to has the languages of mail.
func TestUnsubscribeSpeaksEachLanguage(t *testing.T) {
	t.Parallel()
	var languages []string
	for _, w := range unsubscribeLanguages {
		languages = append(languages, w.Language)
	}
	if !slices.Equal(languages, outbox.Languages) {
		t.Errorf("unsubscribe.go speaks %q, and mail %q (outbox.Languages)", languages, outbox.Languages)
	}
}
